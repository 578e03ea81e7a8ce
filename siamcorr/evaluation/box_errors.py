"""How far boxes are from the truth: overlaps and errors of their centres, frame by frame.

Boxes are (N, 4) x, y, w, h in pixels; one of a tracker's that is not finite meets nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def overlaps(boxes: Array, truth: Array) -> Array:
    """Intersection over union of each pair: (N,), 0..1; NaN where the truth is."""
    boxes = np.where(known_rows(boxes)[:, None], boxes, 0.0)
    start = np.maximum(boxes[:, :2], truth[:, :2])
    end = np.minimum(boxes[:, :2] + boxes[:, 2:], truth[:, :2] + truth[:, 2:])
    common = np.clip(end - start, 0, None).prod(axis=1)
    union = boxes[:, 2:].prod(axis=1) + truth[:, 2:].prod(axis=1) - common
    iou: Array = np.clip(common / (union + np.finfo(float).eps), 0, 1)
    return iou


def center_errors(boxes: Array, truth: Array, normalised: bool = False) -> Array:
    """Distance of the centres: (N,), in pixels, or in the sides of the true box."""
    finite = known_rows(boxes)
    boxes = np.where(finite[:, None], boxes, 0.0)
    offset = (boxes[:, :2] + boxes[:, 2:] / 2) - (truth[:, :2] + truth[:, 2:] / 2)
    if normalised:
        offset = offset / np.maximum(truth[:, 2:], np.finfo(float).eps)
    distance: Array = np.sqrt((offset**2).sum(axis=1))
    distance[~finite] += np.inf
    return distance


def bounded(boxes: Array, frame_size: tuple[int, int] | None) -> Array:
    """Boxes cut to a frame of (height, width)."""
    if frame_size is None:
        return boxes
    limit = np.array([frame_size[1], frame_size[0]], dtype=float)
    start = np.clip(boxes[:, :2], 0, limit)
    # As the toolkit does: the size is cut, not the end, where a box begins before the frame.
    return np.hstack([start, np.clip(boxes[:, 2:], 0, limit - start)])


def corners_of(boxes: Array) -> Array:
    """Boxes (N, 4) as polygons (N, 8), from the upper left corner on.

    Example:
        >>> corners_of(np.array([[1.0, 2, 10, 20]]))
        array([[ 1.,  2., 11.,  2., 11., 22.,  1., 22.]])
    """
    x, y, w, h = boxes.T
    corners: Array = np.column_stack([x, y, x + w, y, x + w, y + h, x, y + h])
    return corners


def known_rows(rows: Array) -> NDArray[np.bool_]:
    """Which rows have finite numbers alone: (N,)."""
    known: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(rows), axis=1)
    return known
