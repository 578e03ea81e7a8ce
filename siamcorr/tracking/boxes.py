"""Boxes: box_xywh is (x, y, w, h) in float pixels, 0-based and continuous.

Pixel i covers the interval [i, i + 1), so a box ends at x + w and its centre is x + w / 2.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LARGEST = 10  # longest side of a box, as a multiple of the frame's longest side

Box = tuple[float, float, float, float]
Image = NDArray[np.uint8]


def check_box(box_xywh: Sequence[float], frame_size: tuple[int, int]) -> Box:
    """Check that a tracker can start on box_xywh, and return it as floats.

    Args:
        box_xywh: four numbers.
        frame_size: (height, width) in pixels.

    Raises:
        ValueError: not four finite numbers, no size, far larger than the frame, or outside the
            frame.
    """
    if len(box_xywh) != 4 or not all(math.isfinite(value) for value in box_xywh):
        raise ValueError(f"box must be four finite numbers x, y, w, h, got {tuple(box_xywh)}")
    x, y, w, h = (float(value) for value in box_xywh)
    if w <= 0 or h <= 0:
        raise ValueError(f"box must have a size, got w {w:g} and h {h:g}")
    height, width = frame_size
    if max(w, h) > LARGEST * max(width, height):
        raise ValueError(
            f"box is {w:g}x{h:g}, more than {LARGEST} times the {width}x{height} frame"
        )
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise ValueError(f"box {x:g},{y:g},{w:g},{h:g} lies outside the {width}x{height} frame")
    return x, y, w, h


def box_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes, 0..1; 0 where the union has no area.

    Example:
        >>> box_iou((0, 0, 2, 2), (1, 0, 2, 2))
        0.3333333333333333
    """
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    union = a[2] * a[3] + b[2] * b[3] - overlap
    return overlap / union if union > 0 else 0.0


def box_around(points: Sequence[float]) -> Box:
    """The axis-aligned box around points x1, y1, x2, y2 and so on.

    Example:
        >>> box_around([3, 1, 9, 2, 7, 8, 1, 7])
        (1.0, 1.0, 8.0, 7.0)
    """
    xs, ys = points[0::2], points[1::2]
    left, top = float(min(xs)), float(min(ys))
    return left, top, float(max(xs)) - left, float(max(ys)) - top


def check_frame(frame: Image, size: tuple[int, int] | None = None) -> None:
    """Check that a frame is a (H, W, 3) uint8 image.

    Args:
        frame: the array to check.
        size: (height, width) of the earlier frames, if there were any.

    Raises:
        TypeError: not a uint8 array.
        ValueError: another shape, an empty frame, or a size other than that of the earlier frames.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        got = getattr(frame, "dtype", type(frame).__name__)
        raise TypeError(f"frame must be a uint8 array (H, W, 3), got {got}")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise ValueError(f"frame must be (H, W, 3), got {frame.shape}")
    if size is not None and frame.shape[:2] != size:
        raise ValueError(f"frame is {frame.shape}, but the first one was {(*size, 3)}")
