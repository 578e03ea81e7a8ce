"""Read and write single images."""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.media.frames import SourceError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".pgm", ".ppm"}
)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sort key under which img2 comes before img10.

    Example:
        >>> [p.name for p in sorted([Path("a10.png"), Path("a9.png")], key=natural_key)]
        ['a9.png', 'a10.png']
    """
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file as (H, W, 3) uint8 RGB; grey, 16-bit and alpha images are converted.

    Raises:
        SourceError: the file is not a readable image.
    """
    content = np.frombuffer(path.read_bytes(), np.uint8)  # any path, also non-ASCII ones
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except cv2.error:  # a header that claims more pixels than OpenCV takes
        image = None
    if image is None:
        raise SourceError(f"{path}: not a readable image")
    return rgb(image)


def rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert BGR to RGB."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB image (H, W, 3); the suffix of path chooses the format.

    Raises:
        OSError: the file cannot be written completely.
        ValueError: OpenCV does not know the suffix.
    """
    path = Path(path)
    try:
        _, packed = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        raise ValueError(f"{path}: unknown image suffix {path.suffix!r}") from None
    path.write_bytes(packed.tobytes())
