"""Overlaps and centre errors of boxes with the ground truth, frame by frame.

Boxes are (N, 4) x, y, w, h in pixels. A tracker's box that is not finite has overlap 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def overlaps(boxes: Array, truth: Array) -> Array:
    """Return the intersection over union of each pair: (N,), 0..1; NaN where the truth is NaN."""
    boxes = np.where(finite_rows(boxes)[:, None], boxes, 0.0)
    start = np.maximum(boxes[:, :2], truth[:, :2])
    end = np.minimum(boxes[:, :2] + boxes[:, 2:], truth[:, :2] + truth[:, 2:])
    common = np.clip(end - start, 0, None).prod(axis=1)
    union = boxes[:, 2:].prod(axis=1) + truth[:, 2:].prod(axis=1) - common
    iou: Array = np.clip(common / (union + np.finfo(float).eps), 0, 1)
    return iou


def center_errors(boxes: Array, truth: Array, normalised: bool = False) -> Array:
    """Return the distances of the centres: (N,), in pixels or relative to the true box's sides."""
    finite = finite_rows(boxes)
    boxes = np.where(finite[:, None], boxes, 0.0)
    offset = (boxes[:, :2] + boxes[:, 2:] / 2) - (truth[:, :2] + truth[:, 2:] / 2)
    if normalised:
        offset = offset / np.maximum(truth[:, 2:], np.finfo(float).eps)
    distance: Array = np.sqrt((offset**2).sum(axis=1))
    distance[~finite] += np.inf
    return distance


def clip_boxes(boxes: Array, frame_size: tuple[int, int] | None) -> Array:
    """Clip boxes to a frame of (height, width)."""
    if frame_size is None:
        return boxes
    limit = np.array([frame_size[1], frame_size[0]], dtype=float)
    start = np.clip(boxes[:, :2], 0, limit)
    # As in the got10k toolkit: a box that begins before the frame keeps its size, not its end.
    return np.hstack([start, np.clip(boxes[:, 2:], 0, limit - start)])


def corners_of(boxes: Array) -> Array:
    """Convert boxes (N, 4) to polygons (N, 8) that start at the upper left corner.

    Example:
        >>> corners_of(np.array([[1.0, 2, 10, 20]]))
        array([[ 1.,  2., 11.,  2., 11., 22.,  1., 22.]])
    """
    x, y, w, h = boxes.T
    corners: Array = np.column_stack([x, y, x + w, y, x + w, y + h, x, y + h])
    return corners


def finite_rows(rows: Array) -> NDArray[np.bool_]:
    """Return a mask (N,) of the rows in which all numbers are finite."""
    known: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(rows), axis=1)
    return known
