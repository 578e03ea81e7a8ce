"""Context crops: the square around a target that a network sees, and the way back to the frame."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.tracking.boxes import Image


@dataclass(frozen=True)
class Crop:
    """A square of the frame, resized.

    image: (out, out, 3) uint8.
    left, top: the square's corner in frame pixels; it may lie outside the frame.
    side: the square's side in frame pixels.
    """

    image: Image
    left: int
    top: int
    side: int

    @property
    def scale(self) -> float:
        """Crop pixels to a frame pixel."""
        return len(self.image) / self.side

    def to_frame(self, x: float, y: float) -> tuple[float, float]:
        """A point of the crop in frame coordinates, both continuous."""
        return self.left + x / self.scale, self.top + y / self.scale


def context_side(width: float, height: float, context: float = 0.5) -> float:
    """Side of the square that holds a target and its surroundings, as SiamFC defines it.

    side = sqrt((w + p) (h + p)) with p = context * (w + h)

    Example:
        >>> context_side(30, 30)
        60.0
    """
    margin = context * (width + height)
    return math.sqrt((width + margin) * (height + margin))


def crop_square(
    frame: Image,
    center: tuple[float, float],
    side: float,
    size: int,
    fill: tuple[float, float, float],
) -> Crop:
    """Cut a square out of a frame and resize it; what lies outside the frame is filled.

    The corner and the side are rounded to whole pixels; the Crop that comes back knows the
    rounded ones, so no position is lost. Only the square itself is copied, never the frame.

    Args:
        frame: (H, W, 3) uint8.
        center: x, y of the square's middle in the frame, continuous.
        side: of the square, in frame pixels.
        size: of the result, in pixels.
        fill: colour for what lies outside, usually the frame's mean.
    """
    whole = max(1, round(side))
    left = math.floor(center[0] - whole / 2 + 0.5)
    top = math.floor(center[1] - whole / 2 + 0.5)
    if whole > 2 * max(frame.shape[:2]):
        image = _sample(frame, left, top, whole / size, size, fill)
    else:
        square = _pad(frame, left, top, whole, fill)
        image = cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR)
    return Crop(image.astype(np.uint8, copy=False), left, top, whole)


def _pad(
    frame: Image, left: int, top: int, side: int, fill: tuple[float, float, float]
) -> NDArray[Any]:
    """The square at full size, with borders where it leaves the frame."""
    height, width = frame.shape[:2]
    x0, x1 = (min(max(x, 0), width) for x in (left, left + side))
    y0, y1 = (min(max(y, 0), height) for y in (top, top + side))
    patch = frame[y0:y1, x0:x1]
    if patch.size == 0:
        return np.full((side, side, 3), np.round(fill), np.uint8)
    if patch.shape[:2] == (side, side):
        return patch
    margins = (y0 - top, top + side - y1, x0 - left, left + side - x1)
    return cv2.copyMakeBorder(patch, *margins, cv2.BORDER_CONSTANT, value=fill)


def _sample(
    frame: Image, left: int, top: int, step: float, size: int, fill: tuple[float, float, float]
) -> NDArray[Any]:
    """The square at the result's size at once: one that is mostly border is never laid out."""
    middle = (step - 1) / 2  # OpenCV counts from pixel centres, we from pixel corners
    affine = np.array([[step, 0, left + middle], [0, step, top + middle]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_CONSTANT
    return cv2.warpAffine(
        frame, affine, (size, size), flags=flags, borderMode=border, borderValue=fill
    )


def mean_color(frame: Image) -> tuple[float, float, float]:
    """Mean of each channel, 0..255: the fill for what lies outside the frame."""
    red, green, blue, _ = cv2.mean(frame)
    return red, green, blue
