"""How good boxes are, in the numbers that the benchmarks publish.

All as the got10k toolkit computes them, of boxes (N, 4) x, y, w, h. Frames whose truth is NaN,
where the target is absent or nobody marked it, are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

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


def overlaps(boxes: Array, truth: Array) -> Array:
    """Intersection over union of each pair: (N,), 0..1; NaN where the truth is."""
    start = np.maximum(boxes[:, :2], truth[:, :2])
    end = np.minimum(boxes[:, :2] + boxes[:, 2:], truth[:, :2] + truth[:, 2:])
    common = np.clip(end - start, 0, None).prod(axis=1)
    union = boxes[:, 2:].prod(axis=1) + truth[:, 2:].prod(axis=1) - common
    iou: Array = np.clip(common / (union + np.finfo(float).eps), 0, 1)
    return iou


def center_errors(boxes: Array, truth: Array, normalised: bool = False) -> Array:
    """Distance of the centres: (N,), in pixels, or in the sides of the true box."""
    offset = (boxes[:, :2] + boxes[:, 2:] / 2) - (truth[:, :2] + truth[:, 2:] / 2)
    if normalised:
        offset = offset / np.maximum(truth[:, 2:], np.finfo(float).eps)
    distance: Array = np.sqrt((offset**2).sum(axis=1))
    return distance


def score(boxes: Array, truth: Array, frame_size: tuple[int, int] | None = None) -> Scores:
    """All scores of one sequence.

    Args:
        boxes: (N, 4), the first one the truth that the tracker was started with.
        truth: (N, 4), NaN rows left out.
        frame_size: (height, width) that AO and SR cut both boxes to, as GOT-10k does.

    Raises:
        ValueError: other shapes, or no frame with a truth.
    """
    if boxes.shape != truth.shape or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"score: boxes {boxes.shape} and truth {truth.shape} must be (N, 4)")
    known = np.logical_and.reduce(np.isfinite(truth), axis=1)
    if not known.any():
        raise ValueError("score: no frame has a true box")
    iou = overlaps(boxes[known], truth[known])
    error = center_errors(boxes[known], truth[known])
    share = center_errors(boxes[known], truth[known], normalised=True)
    success = (iou[:, None] > OVERLAPS).mean(axis=0)
    precision = (error[:, None] <= PIXELS).mean(axis=0)
    later = known & (np.arange(len(known)) > 0)
    if not later.any():
        later = known
    bounded = overlaps(_bounded(boxes[later], frame_size), _bounded(truth[later], frame_size))
    return Scores(
        float(success.mean()),
        float(precision[20]),
        float((share[:, None] <= SHARES).mean()),
        float(bounded.mean()),
        float((bounded > 0.5).mean()),
        float((bounded > 0.75).mean()),
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


def _bounded(boxes: Array, frame_size: tuple[int, int] | None) -> Array:
    """Boxes cut to the frame."""
    if frame_size is None:
        return boxes
    limit = np.array([frame_size[1], frame_size[0]], dtype=float)
    start = np.clip(boxes[:, :2], 0, limit)
    # As the toolkit does: the size is cut, not the end, where a box begins before the frame.
    return np.hstack([start, np.clip(boxes[:, 2:], 0, limit - start)])
