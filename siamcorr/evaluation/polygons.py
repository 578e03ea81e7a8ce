"""How much of a tilted target a box covers: overlaps of boxes with polygons.

As the got10k toolkit's poly_iou computes them, on shapely, for all frames at once.
"""

from typing import Any

import numpy as np

from siamcorr.evaluation.box_errors import Array, corners_of, known_rows, overlaps


def polygon_overlaps(
    boxes: Array, polygons: Array, frame_size: tuple[int, int] | None = None
) -> Array:
    """Intersection over union of boxes and polygons: (N,), 0..1; NaN where the polygon is.

    A polygon that crosses itself counts as the triangles that it encloses, as where it is filled.

    Args:
        boxes: (N, 4) x, y, w, h; one that is not finite covers nothing.
        polygons: (N, 8) x1, y1, ..., x4, y4; a row of `corners_of` makes a box one.
        frame_size: (height, width) in pixels that both are cut to; None leaves them whole.

    Raises:
        ModuleNotFoundError: shapely is not installed.
    """
    shapely = _shapely()
    known = known_rows(polygons)
    iou = np.full(len(polygons), np.nan)
    iou[known] = 0.0
    found = known & known_rows(boxes)
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
    """Overlaps with what people drew: with the polygons where there are some, else with boxes.

    Args:
        boxes: (N, 4).
        truth: (N, 4), NaN where nobody drew anything.
        polygons: (N, 8); a frame where they are NaN has its true box for one.
        frame_size: (height, width) that boxes and polygons are cut to; it counts for polygons
            alone.

    Returns:
        (N,), 0..1; NaN where the truth is.

    Raises:
        ModuleNotFoundError: there are polygons, and shapely is not installed.
    """
    if polygons is None:
        return overlaps(boxes, truth)
    shapes = np.where(known_rows(polygons)[:, None], polygons, corners_of(truth))
    shapes[~known_rows(truth)] = np.nan
    return polygon_overlaps(boxes, shapes, frame_size)


def _valid(shapes: Any) -> Any:
    """Shapes that cross themselves are taken apart; the others stay as they are."""
    shapely = _shapely()
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    return shapes


def _shapely() -> Any:
    """The package, imported where it is needed."""
    try:
        import shapely
    except ModuleNotFoundError:
        text = "overlaps with polygons need shapely: pip install 'siamcorr[eval]'"
        raise ModuleNotFoundError(text) from None
    return shapely
