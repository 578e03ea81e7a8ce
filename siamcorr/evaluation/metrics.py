"""How good boxes are, in the numbers that the benchmarks publish.

All as the got10k toolkit computes them, of boxes (N, 4) x, y, w, h. Frames whose truth is NaN,
where the target is absent or nobody marked it, are left out. A tracker's box that is not finite
meets nothing.

Where people drew polygons, overlaps are those of the box with the polygon, both cut to the frame,
as VOT has it; errors of the centre stay those of the boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from siamcorr.evaluation.box_errors import (
    Array,
    bounded,
    center_errors,
    known_rows,
    overlaps,
)
from siamcorr.evaluation.polygons import truth_overlaps

OVERLAPS = np.linspace(0, 1, 21)  # thresholds of the success plot
PIXELS = np.arange(0.0, 51.0)  # of the precision plot
SHARES = np.linspace(0, 0.5, 51)  # of the normalised one, in the target's sides


@dataclass(frozen=True)
class Scores:
    """Of one sequence, or the mean over several.

    success: area under the success plot. precision: share of frames whose centre is off by at
    most 20 pixels. norm_precision: area under the normalised precision plot.
    ao, sr50, sr75: mean overlap and shares of overlaps over 0.5 and 0.75, without the first frame.
    success_curve, precision_curve: what is plotted.
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
    """Shares of overlaps above each of the thresholds, (21,); their mean is the success AUC."""
    curve: Array = (iou[:, None] > OVERLAPS).mean(axis=0)
    return curve


def score(
    boxes: Array,
    truth: Array,
    frame_size: tuple[int, int] | None = None,
    polygons: Array | None = None,
) -> Scores:
    """All scores of one sequence.

    Args:
        boxes: (N, 4), the first one the truth that the tracker was started with.
        truth: (N, 4), NaN rows left out.
        frame_size: (height, width) that AO and SR cut both boxes to, as GOT-10k does, and all
            overlaps where there are polygons, as VOT does.
        polygons: (N, 8), see `truth_overlaps`.

    Raises:
        ValueError: other shapes, or no frame with a truth.
        ModuleNotFoundError: there are polygons, and shapely is not installed.
    """
    if boxes.shape != truth.shape or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"score: boxes {boxes.shape} and truth {truth.shape} must be (N, 4)")
    if polygons is not None and polygons.shape != (len(truth), 8):
        raise ValueError(f"score: polygons {polygons.shape} must be ({len(truth)}, 8)")
    known = known_rows(truth)
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
        iou = overlaps(bounded(boxes, frame_size), bounded(truth, frame_size))
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
    """The mean over sequences, each counting once, as OTB and LaSOT report.

    (GOT-10k's own report pools all frames for AO and SR, so that long sequences count for more.)

    Raises:
        ValueError: there are none.
    """
    if not scores:
        raise ValueError("mean_scores: no sequence was scored")
    names = Scores.__dataclass_fields__
    means = {name: np.mean([getattr(s, name) for s in scores], axis=0) for name in names}
    curves = {name: means.pop(name) for name in ("success_curve", "precision_curve")}
    values: dict[str, Any] = {name: float(value) for name, value in means.items()}
    return Scores(**values, **curves)
