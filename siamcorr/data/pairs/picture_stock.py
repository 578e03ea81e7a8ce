"""A stock of pictures: single ones and the frames of videos, any of them by chance."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.data.datasets.folders import VIDEO_SUFFIXES
from siamcorr.data.frame_cache import cached_frames
from siamcorr.media.images import IMAGE_SUFFIXES, read_image

LONGEST = 640  # pixels; larger single pictures are shrunk when they are read
VIDEO = 20  # a video counts as much as so many single pictures


class Stock:
    """Pictures and videos' frames; nothing is known of what they show.

    Args:
        places: files, or folders that are searched with all below them; "~" is the user's home.

    Raises:
        OSError: a video cannot be read.
        ValueError: there are no pictures.
    """

    def __init__(self, places: Sequence[str]) -> None:
        files = sorted(find_pictures(places))
        videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
        self.videos = [cached_frames(video) for video in videos]
        images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        # Read here once, so that the processes forked from this one share them.
        self.images = [image for image in map(_read, images) if image is not None]
        if not self.videos and not self.images:
            raise ValueError(f"{', '.join(places) or 'pictures'}: no pictures, no videos")

    def any(self, rng: np.random.Generator) -> NDArray[Any]:
        """A picture by chance: (H, W, 3) uint8 RGB."""
        frames = self.shot(rng)
        picture: NDArray[Any] = frames[rng.integers(len(frames)) if len(frames) > 1 else 0]
        return picture

    def shot(self, rng: np.random.Generator) -> NDArray[Any]:
        """A video, or a single picture, by chance: (N, H, W, 3) uint8 RGB."""
        number = int(rng.integers(VIDEO * len(self.videos) + len(self.images)))
        if number < VIDEO * len(self.videos):
            return self.videos[number // VIDEO]
        return self.images[number - VIDEO * len(self.videos)][None]


def find_pictures(places: Sequence[str]) -> set[Path]:
    """Images and videos among files and below folders; masks (NAME_mask.png) are none."""
    wanted = VIDEO_SUFFIXES | IMAGE_SUFFIXES
    found: set[Path] = set()
    for place in places:
        path = Path(place).expanduser()
        below = path.rglob("*") if path.is_dir() else [path]
        found |= {file for file in below if file.suffix.lower() in wanted}
    return {file for file in found if not file.stem.endswith("_mask")}


def read_shrunk(path: Path) -> tuple[NDArray[np.uint8], float]:
    """A picture, its longer side 640 pixels at most, and by how much it was shrunk.

    Raises:
        OSError: it cannot be read.
    """
    image = read_image(path)
    scale = min(1.0, LONGEST / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return image, scale


def _read(path: Path) -> NDArray[np.uint8] | None:
    """None, with a warning, if it cannot be read."""
    try:
        return read_shrunk(path)[0]
    except (OSError, ValueError) as error:
        warnings.warn(f"{path}: {error}, left out", stacklevel=2)
        return None
