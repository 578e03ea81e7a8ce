"""Pictures on disk: photographs for grounds, cut-outs with alpha for targets."""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from siamcorr.data.synthetic.clips import Image
from siamcorr.data.synthetic.cutouts import cut_out

PHOTOS = (".jpg", ".jpeg", ".webp")
LONGEST = 640  # pixels; larger pictures are shrunk when they are read
SMALLEST = 48  # pixels; smaller ones are no pictures of anything
DRAWN = ("cartoon", "symbols", "flags", "alphabets", "shapes")  # folders of drawings


class Library:
    """The photographs and cut-outs below some folders: those to train on, or those to choose by.

    Cut-outs are PNG files with alpha, or pairs NAME.jpg and NAME_mask.png. A picture that cannot
    be read is left out, with a warning that names it.

    Args:
        folders: searched with all that is below them.
        held_out: take the tenth that is never trained on, instead of the rest.
        more: cut-outs, (h, w, 4) RGB and alpha, to be chosen as often as those on disk.

    Raises:
        ValueError: there are no photographs or no cut-outs.
    """

    def __init__(
        self,
        folders: Sequence[str | Path],
        held_out: bool = False,
        more: Sequence[Image] = (),
    ) -> None:
        files = {
            path: path.relative_to(folder)
            for folder in map(Path, folders)
            for path in folder.rglob("*")
        }
        kept = [path for path in sorted(files) if _is_held_out(path) == held_out]
        photos = [path for path in kept if path.suffix.lower() in PHOTOS]
        masked = [path for path in photos if _mask_of(path) in files]
        self.photos = [path for path in photos if _mask_of(path) not in files]
        pictures = [path for path in kept if path.suffix.lower() == ".png"]
        pictures = [path for path in pictures if not path.stem.endswith("_mask")]
        self.cutouts = [path for path in pictures if not _is_drawn(files[path])] + masked
        self.more = list(more)
        if not self.photos or not self.cutouts:
            raise ValueError(
                f"{', '.join(map(str, folders))}: {len(self.photos)} photographs and "
                f"{len(self.cutouts)} cut-outs, and one of each is the least"
            )

    def photo(self, rng: np.random.Generator) -> Image:
        """A photograph by chance: (H, W, 3) RGB."""
        return self._any(self.photos, rng, 3)

    def cutout(self, rng: np.random.Generator) -> Image:
        """A cut-out by chance: (H, W, 4) RGB and alpha, without empty borders."""
        number = rng.integers(len(self.cutouts) + len(self.more)) if self.more else 0
        if number >= len(self.cutouts):
            return self.more[number - len(self.cutouts)]
        return self._any(self.cutouts, rng, 4)

    def read_all(self) -> None:
        """Read every picture now, so that processes forked from this one share them.

        OpenCV is left with one thread: a fork does not take its other threads along, and would
        wait for them for ever.
        """
        one_thread()
        for paths, channels in ((self.photos, 3), (self.cutouts, 4)):
            for path in paths:
                _read(path, channels)

    def _any(self, paths: list[Path], rng: np.random.Generator, channels: int) -> Image:
        left = paths.copy()  # what comes out must not hang on what was found broken before
        while left:
            path = left[rng.integers(len(left))]
            picture = _read(path, channels)
            if picture is not None:
                return picture
            left.remove(path)
        raise ValueError("no picture that can be read is left")


@lru_cache(maxsize=4000)
def _read(path: Path, channels: int) -> Image | None:
    """A picture, or None if it has no alpha or is tiny, and with a warning if it is none."""
    masked = channels == 4 and path.suffix.lower() in PHOTOS
    plain = channels == 3 or masked
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR if plain else cv2.IMREAD_UNCHANGED)
    mask = cv2.imread(str(_mask_of(path)), cv2.IMREAD_GRAYSCALE) if masked else None
    if picture is None or (masked and mask is None):
        warnings.warn(f"{path}: cannot be read, left out", stacklevel=2)
        return None
    if mask is not None:
        picture = cut_out(picture, mask)
        if picture is None:
            return None
    if picture.dtype == np.uint16:
        picture = (picture // 256).astype(np.uint8)
    if picture.ndim != 3 or picture.shape[2] != channels:
        return None
    if channels == 4:
        left, top, width, height = cv2.boundingRect((picture[:, :, 3] > 127).astype(np.uint8))
        picture = picture[top : top + height, left : left + width]
    if min(picture.shape[:2]) < SMALLEST:
        return None
    shrink = LONGEST / max(picture.shape[:2])
    if shrink < 1:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    code = cv2.COLOR_BGRA2RGBA if channels == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(picture, code).astype(np.uint8)


def _mask_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}_mask.png")


def one_thread(_: int = 0) -> None:
    """For a process that makes pairs: its pictures are small, and other processes have work too."""
    cv2.setNumThreads(1)


def _is_held_out(path: Path) -> bool:
    """One picture in ten, by its name alone, so that it is the same on every machine."""
    return sha256(path.name.encode()).digest()[0] % 10 == 0


def _is_drawn(path: Path) -> bool:
    return any(part in DRAWN for part in path.parts)
