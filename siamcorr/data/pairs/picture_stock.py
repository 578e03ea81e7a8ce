"""Stock of pictures to draw from at random: images and the frames of videos."""

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
VIDEO = 20  # a video is drawn as often as this number of images


class Stock:
    """Images and videos without annotations.

    Args:
        places: files, or folders to search recursively; "~" is the user's home.

    Raises:
        OSError: a video cannot be read.
        ValueError: there are no pictures.
    """

    def __init__(self, places: Sequence[str]) -> None:
        files = sorted(find_pictures(places))
        videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
        self.videos = [cached_frames(video) for video in videos]
        images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        # Read before processes are forked, so that they share the memory.
        self.images = [image for image in map(_read, images) if image is not None]
        if not self.videos and not self.images:
            raise ValueError(f"{', '.join(places) or 'pictures'}: no images or videos found")

    def any(self, rng: np.random.Generator) -> NDArray[Any]:
        """A random image or frame: (H, W, 3) uint8 RGB."""
        frames = self.shot(rng)
        picture: NDArray[Any] = frames[rng.integers(len(frames)) if len(frames) > 1 else 0]
        return picture

    def shot(self, rng: np.random.Generator) -> NDArray[Any]:
        """A random video, or an image as a video of one frame: (N, H, W, 3) uint8 RGB."""
        number = int(rng.integers(VIDEO * len(self.videos) + len(self.images)))
        if number < VIDEO * len(self.videos):
            return self.videos[number // VIDEO]
        return self.images[number - VIDEO * len(self.videos)][None]


def find_pictures(places: Sequence[str]) -> set[Path]:
    """Find images and videos in files and folders, without masks (NAME_mask.png)."""
    wanted = VIDEO_SUFFIXES | IMAGE_SUFFIXES
    found: set[Path] = set()
    for place in places:
        path = Path(place).expanduser()
        below = path.rglob("*") if path.is_dir() else [path]
        found |= {file for file in below if file.suffix.lower() in wanted}
    return {file for file in found if not file.stem.endswith("_mask")}


def read_shrunk(path: Path) -> tuple[NDArray[np.uint8], float]:
    """Read an image, shrink its longer side to 640 pixels at most, return it and the scale.

    Raises:
        OSError: the image cannot be read.
    """
    image = read_image(path)
    scale = min(1.0, LONGEST / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return image, scale


def _read(path: Path) -> NDArray[np.uint8] | None:
    """Read an image; None, with a warning, if it cannot be read."""
    try:
        return read_shrunk(path)[0]
    except (OSError, ValueError) as error:
        warnings.warn(f"{path}: {error}, left out", stacklevel=2)
        return None
