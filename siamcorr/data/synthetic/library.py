"""Pictures on disk: photographs as backgrounds, cut-outs with alpha as targets."""

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
SMALLEST = 48  # pixels; smaller pictures are skipped
DRAWINGS = ("cartoon", "symbols", "flags", "alphabets", "shapes")  # folders to skip


class Library:
    """Photographs and cut-outs from folders: the training part, or the held-out part.

    Cut-outs are PNG files with alpha, or pairs NAME.jpg and NAME_mask.png. A picture that cannot
    be read is skipped with a warning.

    Args:
        folders: searched recursively.
        held_out: use the tenth of the pictures kept for validation, instead of the rest.
        more: additional cut-outs, (h, w, 4) RGB and alpha; each as likely as one on disk.

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
        self.cutouts = [path for path in pictures if not _is_drawing(files[path])] + masked
        self.more = list(more)
        if not self.photos or not self.cutouts:
            raise ValueError(
                f"{', '.join(map(str, folders))}: {len(self.photos)} photographs and "
                f"{len(self.cutouts)} cut-outs found, at least one of each is needed"
            )

    def photo(self, rng: np.random.Generator) -> Image:
        """A random photograph: (H, W, 3) RGB."""
        return self._any(self.photos, rng, 3)

    def cutout(self, rng: np.random.Generator) -> Image:
        """A random cut-out: (H, W, 4) RGB and alpha, without empty borders."""
        number = rng.integers(len(self.cutouts) + len(self.more)) if self.more else 0
        if number >= len(self.cutouts):
            return self.more[number - len(self.cutouts)]
        return self._any(self.cutouts, rng, 4)

    def read_all(self) -> None:
        """Read every picture now, so that forked processes share the memory.

        Sets OpenCV to one thread: a forked process does not have its other threads and would wait
        for them forever.
        """
        one_thread()
        for paths, channels in ((self.photos, 3), (self.cutouts, 4)):
            for path in paths:
                _read(path, channels)

    def _any(self, paths: list[Path], rng: np.random.Generator, channels: int) -> Image:
        left = paths.copy()  # a draw must not depend on files found broken before
        while left:
            path = left[rng.integers(len(left))]
            picture = _read(path, channels)
            if picture is not None:
                return picture
            left.remove(path)
        raise ValueError("no readable picture is left")


@lru_cache(maxsize=4000)
def _read(path: Path, channels: int) -> Image | None:
    """Read a picture; None if alpha is missing or it is tiny, or, with a warning, unreadable."""
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
    """Set OpenCV to one thread: pairs are small pictures, made by many processes at once."""
    cv2.setNumThreads(1)


def _is_held_out(path: Path) -> bool:
    """Whether a picture is among the held-out tenth; by its name, so the same on every machine."""
    return sha256(path.name.encode()).digest()[0] % 10 == 0


def _is_drawing(path: Path) -> bool:
    return any(part in DRAWINGS for part in path.parts)
