"""Overlaps of boxes with polygons.

They equal those of poly_iou in the got10k toolkit; shapely computes them for all frames at once.
"""

from typing import Any

import numpy as np

from siamcorr.evaluation.box_errors import Array, corners_of, finite_rows, overlaps


def polygon_overlaps(
    boxes: Array, polygons: Array, frame_size: tuple[int, int] | None = None
) -> Array:
    """Return the IoU of boxes and polygons: (N,), 0..1; NaN where the polygon is NaN.

    A polygon that crosses itself counts as the triangles that it encloses.

    Args:
        boxes: (N, 4) x, y, w, h; a box that is not finite has overlap 0.
        polygons: (N, 8) x1, y1, ..., x4, y4; `corners_of` converts boxes to polygons.
        frame_size: (height, width) in pixels; both are clipped to it. None does not clip.

    Raises:
        ModuleNotFoundError: shapely is not installed.
    """
    shapely = _shapely()
    known = finite_rows(polygons)
    iou = np.full(len(polygons), np.nan)
    iou[known] = 0.0
    found = known & finite_rows(boxes)
    if found.any():
        x, y, w, h = boxes[found].T
        ours = _valid(shapely.box(x, y, x + w, y + h))
        theirs = _valid(shapely.polygons(polygons[found].reshape(-1, 4, 2)))
        if frame_size is not None:
            frame = shapely.box(0, 0, frame_size[1], frame_size[0])
            ours, theirs = (shapely.intersection(side, frame) for side in (ours, theirs))
        common = shapely.area(shapely.intersection(ours, theirs))
        union = shapely.area(shapely.union(ours, theirs))
        iou[found] = np.clip(common / (union + np.finfo(float).eps), 0, 1)
    return iou


def truth_overlaps(
    boxes: Array,
    truth: Array,
    polygons: Array | None = None,
    frame_size: tuple[int, int] | None = None,
) -> Array:
    """Return the overlaps with the true polygons if there are any, else with the true boxes.

    Args:
        boxes: (N, 4).
        truth: (N, 4), NaN in frames without annotation.
        polygons: (N, 8); where they are NaN, the true box is used.
        frame_size: (height, width); boxes and polygons are clipped to it. It is not used without
            polygons.

    Returns:
        (N,), 0..1; NaN where the truth is NaN.

    Raises:
        ModuleNotFoundError: there are polygons, and shapely is not installed.
    """
    if polygons is None:
        return overlaps(boxes, truth)
    shapes = np.where(finite_rows(polygons)[:, None], polygons, corners_of(truth))
    shapes[~finite_rows(truth)] = np.nan
    return polygon_overlaps(boxes, shapes, frame_size)


def _valid(shapes: Any) -> Any:
    """Split shapes that cross themselves; the others stay as they are."""
    shapely = _shapely()
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    return shapes


def _shapely() -> Any:
    """Import shapely, which is optional."""
    try:
        import shapely
    except ModuleNotFoundError:
        text = "overlaps with polygons need shapely: pip install 'siamcorr[eval]'"
        raise ModuleNotFoundError(text) from None
    return shapely
