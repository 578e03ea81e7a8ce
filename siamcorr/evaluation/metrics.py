"""The scores that benchmarks publish.

They equal those of the got10k toolkit, for boxes (N, 4) x, y, w, h. Frames with NaN as ground
truth (the target is absent or not annotated) are left out. A tracker's box that is not finite has
overlap 0.

If the ground truth has polygons, overlaps are those of box and polygon, both clipped to the frame,
as in VOT; centre errors are still those of the boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from siamcorr.evaluation.box_errors import (
    Array,
    center_errors,
    clip_boxes,
    finite_rows,
    overlaps,
)
from siamcorr.evaluation.polygons import truth_overlaps

OVERLAPS = np.linspace(0, 1, 21)  # thresholds of the success plot
PIXELS = np.arange(0.0, 51.0)  # thresholds of the precision plot
SHARES = np.linspace(0, 0.5, 51)  # of the normalised precision plot, relative to the target's size


@dataclass(frozen=True)
class Scores:
    """Scores of one sequence, or the mean over several.

    Attributes:
        success: area under the success plot.
        precision: share of frames with a centre error of at most 20 pixels.
        norm_precision: area under the normalised precision plot.
        ao: mean overlap without frame 0.
        sr50: share of overlaps above 0.5, without frame 0.
        sr75: share of overlaps above 0.75, without frame 0.
        success_curve: (21,) the values of the success plot.
        precision_curve: (51,) the values of the precision plot.
    """

    success: float
    precision: float
    norm_precision: float
    ao: float
    sr50: float
    sr75: float
    success_curve: Array
    precision_curve: Array


def success_curve(iou: Array) -> Array:
    """Return the shares of overlaps above each threshold, (21,); their mean is the success AUC."""
    curve: Array = (iou[:, None] > OVERLAPS).mean(axis=0)
    return curve


def score(
    boxes: Array,
    truth: Array,
    frame_size: tuple[int, int] | None = None,
    polygons: Array | None = None,
) -> Scores:
    """Compute all scores of one sequence.

    Args:
        boxes: (N, 4); the first one is the true box that the tracker was started with.
        truth: (N, 4); rows with NaN are left out.
        frame_size: (height, width). AO and SR clip both boxes to it, as GOT-10k does; with
            polygons, all overlaps do, as in VOT.
        polygons: (N, 8), see `truth_overlaps`.

    Raises:
        ValueError: a shape is wrong, or no frame has a true box.
        ModuleNotFoundError: there are polygons, and shapely is not installed.
    """
    if boxes.shape != truth.shape or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"score: boxes {boxes.shape} and truth {truth.shape} must be (N, 4)")
    if polygons is not None and polygons.shape != (len(truth), 8):
        raise ValueError(f"score: polygons {polygons.shape} must be ({len(truth)}, 8)")
    known = finite_rows(truth)
    if not known.any():
        raise ValueError("score: no frame has a true box")
    iou = truth_overlaps(boxes, truth, polygons, frame_size)
    error = center_errors(boxes[known], truth[known])
    share = center_errors(boxes[known], truth[known], normalised=True)
    success = success_curve(iou[known])
    precision = (error[:, None] <= PIXELS).mean(axis=0)
    later = known & (np.arange(len(known)) > 0)
    if not later.any():
        later = known
    if polygons is None:
        iou = overlaps(clip_boxes(boxes, frame_size), clip_boxes(truth, frame_size))
    inside = iou[later]
    return Scores(
        float(success.mean()),
        float(precision[20]),
        float((share[:, None] <= SHARES).mean()),
        float(inside.mean()),
        float((inside > 0.5).mean()),
        float((inside > 0.75).mean()),
        success,
        precision,
    )


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Average over sequences with equal weights, as OTB and LaSOT do.

    GOT-10k's own report pools all frames for AO and SR, so that long sequences have more weight.

    Raises:
        ValueError: there are no scores.
    """
    if not scores:
        raise ValueError("mean_scores: no sequence was scored")
    names = Scores.__dataclass_fields__
    means = {name: np.mean([getattr(s, name) for s in scores], axis=0) for name in names}
    curves = {name: means.pop(name) for name in ("success_curve", "precision_curve")}
    values: dict[str, Any] = {name: float(value) for name, value in means.items()}
    return Scores(**values, **curves)
