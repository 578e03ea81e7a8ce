"""Context crops: cut the region around a target, and map crop points back to the frame."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.tracking.boxes import Image

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Crop:
    """A box of the frame, resized to a square.

    image: (out, out, 3) uint8.
    left, top: the box's corner in frame pixels; it may lie outside the frame.
    width, height: of the box in frame pixels.
    """

    image: Image
    left: int
    top: int
    width: int
    height: int

    @property
    def scale(self) -> float:
        """Crop pixels per frame pixel, along x; for a square crop also along y."""
        return len(self.image) / self.width

    def to_frame(self, x: float, y: float) -> tuple[float, float]:
        """Map a point of the crop to frame coordinates; both are continuous."""
        out = len(self.image)
        return self.left + x * self.width / out, self.top + y * self.height / out

    def middle(self, side: float) -> tuple[float, float, float, float]:
        """The middle of the crop, `side` crop pixels wide and high, as box_xywh in the frame."""
        margin = (len(self.image) - side) / 2
        x, y = self.to_frame(margin, margin)
        share = side / len(self.image)
        return x, y, self.width * share, self.height * share


def context_side(width: float, height: float, context: float = 0.5) -> float:
    """Side of the square around a target with its context, as SiamFC defines it.

    side = sqrt((w + p) (h + p)) with p = context * (w + h)

    Example:
        >>> context_side(30, 30)
        60.0
    """
    margin = context * (width + height)
    return math.sqrt((width + margin) * (height + margin))


def context_box(
    width: float, height: float, context: float, keep_ratio: bool = True
) -> tuple[float, float]:
    """Width and height of the crop around a target.

    With `keep_ratio` a square of `context_side`; otherwise each side grows by twice its context.
    Both agree for a square target.

    Example:
        >>> context_box(10, 20, 1.0, keep_ratio=False)
        (30.0, 60.0)
    """
    if not keep_ratio:
        return width * (1 + 2 * context), height * (1 + 2 * context)
    side = context_side(width, height, context)
    return side, side


def crop_box(
    frame: Image,
    center: tuple[float, float],
    sides: tuple[float, float],
    size: int,
    fill: Color,
) -> Crop:
    """Cut a box out of a frame and resize it to a square; fill the part outside the frame.

    The corner and the sides are rounded to whole pixels. The returned Crop holds the rounded
    values, so positions map back exactly. Only the box is copied, never the whole frame.

    Args:
        frame: (H, W, 3) uint8.
        center: x, y of the box's centre in the frame, continuous.
        sides: width and height of the box, in frame pixels.
        size: side of the result, in pixels.
        fill: colour outside the frame, usually the frame's mean.
    """
    width, height = (max(1, round(side)) for side in sides)
    left = math.floor(center[0] - width / 2 + 0.5)
    top = math.floor(center[1] - height / 2 + 0.5)
    if max(width, height) > 2 * max(frame.shape[:2]):
        image = _sample(frame, (left, top), (width / size, height / size), size, fill)
    else:
        patch = _pad(frame, left, top, width, height, fill)
        image = cv2.resize(patch, (size, size), interpolation=cv2.INTER_LINEAR)
    return Crop(image.astype(np.uint8, copy=False), left, top, width, height)


def _pad(frame: Image, left: int, top: int, width: int, height: int, fill: Color) -> NDArray[Any]:
    """The box at its size in the frame, with a filled border outside the frame."""
    rows, columns = frame.shape[:2]
    x0, x1 = (min(max(x, 0), columns) for x in (left, left + width))
    y0, y1 = (min(max(y, 0), rows) for y in (top, top + height))
    patch = frame[y0:y1, x0:x1]
    if patch.size == 0:
        return np.full((height, width, 3), np.round(fill), np.uint8)
    if patch.shape[:2] == (height, width):
        return patch
    margins = (y0 - top, top + height - y1, x0 - left, left + width - x1)
    return cv2.copyMakeBorder(patch, *margins, cv2.BORDER_CONSTANT, value=fill)


def _sample(
    frame: Image, corner: tuple[int, int], step: tuple[float, float], size: int, fill: Color
) -> NDArray[Any]:
    """Sample the box directly at the result's size: a huge box is never allocated."""
    # OpenCV's coordinates start at a pixel's centre, ours at its corner.
    x, y = (start + (pixels - 1) / 2 for start, pixels in zip(corner, step, strict=True))
    affine = np.array([[step[0], 0, x], [0, step[1], y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_CONSTANT
    return cv2.warpAffine(
        frame, affine, (size, size), flags=flags, borderMode=border, borderValue=fill
    )


def mean_color(frame: Image) -> Color:
    """Mean of each channel, 0..255: the fill colour outside the frame."""
    red, green, blue, _ = cv2.mean(frame)
    return red, green, blue
