"""Decoding: from a network's maps to one box in the search crop.

Every response cell has a score and a box, or a score and a box per anchor. The score is reduced
if the box differs from the last one in size or shape, then mixed with a cosine window that
prefers the centre. The highest score wins.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamcorr.models.recipe import AnchorConfig
from siamcorr.tracking.crops import context_side

Map = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Best:
    """The winner: centre and size in crop pixels, score 0..1, penalty 0..1."""

    x: float
    y: float
    width: float
    height: float
    score: float
    penalty: float


def target_score(logits: Map, anchors: int = 1) -> Map:
    """Probability of the target, 0..1.

    Args:
        logits: (2*k, S, S), channel class * k + anchor, for softmax over background and target;
            or (k, S, S) for sigmoid.
        anchors: k.

    Returns:
        (k, S, S).
    """
    planes = logits.reshape(-1, anchors, *logits.shape[1:])
    against = planes[-2] if len(planes) == 2 else 0.0
    with np.errstate(over="ignore"):  # exp overflows where the probability is 0
        probability: Map = 1 / (1 + np.exp(against - planes[-1]))
    return probability


@cache
def point_grid(cells: int, stride: int, size: int) -> Map:
    """The point of each response cell: x and y in crop pixels, continuous.

    The cell at index cells // 2 is at the crop's centre; with an even number of cells there is
    one more cell before it than after it.

    Returns:
        (2, cells, cells), x then y.
    """
    line = size / 2 + stride * (np.arange(cells) - cells // 2)
    return _freeze(np.stack(np.meshgrid(line, line)))


@cache
def anchor_sizes(config: AnchorConfig) -> Map:
    """Width and height of each anchor in crop pixels: (2, k).

    Sides are rounded down before scaling, as in pysot, so that published heads fit.
    """
    widths = [int((config.size**2 / ratio) ** 0.5) for ratio in config.ratios]
    heights = [int(width * ratio) for width, ratio in zip(widths, config.ratios, strict=True)]
    return _freeze(np.array([widths, heights]) * config.scale)


def boxes_from_distances(points: Map, distances: Map) -> Map:
    """Distances to left, top, right, bottom -> boxes as centre and size.

    Args:
        points: (2, S, S), from `point_grid`.
        distances: (4, S, S) in crop pixels.

    Returns:
        (4, 1, S, S): centre x, centre y, width, height in crop pixels.
    """
    left, top, right, bottom = distances
    x = points[0] + (right - left) / 2
    y = points[1] + (bottom - top) / 2
    return np.stack([x, y, left + right, top + bottom])[:, None]


def boxes_from_anchors(points: Map, anchors: Map, offsets: Map) -> Map:
    """Corrections of anchors -> boxes as centre and size.

    x = x0 + dx * w0, w = w0 * exp(dw), likewise y and h.

    Args:
        points: (2, S, S), from `point_grid`.
        anchors: (2, k), from `anchor_sizes`.
        offsets: (4*k, S, S), channel coordinate * k + anchor.

    Returns:
        (4, k, S, S): centre x, centre y, width, height in crop pixels.
    """
    sizes = anchors[:, :, None, None]  # (2, k, 1, 1)
    shifts = offsets.reshape(4, anchors.shape[1], *offsets.shape[1:])
    centers = points[:, None] + shifts[:2] * sizes
    # Clip, so that the logits of a random or malicious network do not overflow.
    spans = sizes * np.exp(np.clip(shifts[2:], -10, 10))
    return np.concatenate([centers, spans])


def change_penalty(width: Map, height: Map, last: tuple[float, float], strength: float) -> Map:
    """Penalty for a change of size or shape: 1 for no change, towards 0 for a large one.

    penalty = exp(-strength * (change of side * change of ratio - 1)), each change >= 1, with the
    side from `context_side`.
    """
    margin = (width + height) / 2
    side = np.sqrt((width + margin) * (height + margin)) / context_side(*last)
    ratio = (last[0] / last[1]) / (width / height)
    change = np.maximum(side, 1 / side) * np.maximum(ratio, 1 / ratio)
    penalty: Map = np.exp(-(change - 1) * strength)
    return penalty


@cache
def cosine_window(cells: int) -> Map:
    """(cells, cells) Hann window, 1 in the middle and 0 at the border."""
    line = np.hanning(cells)
    return _freeze(np.outer(line, line))


def best_box(
    score: Map,
    boxes: Map,
    last: tuple[float, float],
    penalty: float,
    window: float,
    relative: bool = False,
) -> Best:
    """Choose the cell and anchor with the best score after penalty and window.

    Args:
        score: (k, S, S), from `target_score`.
        boxes: (4, k, S, S).
        last: width and height of the last box in crop pixels.
        penalty: strength of the penalty for a change.
        window: weight of the cosine window, 0..1.
        relative: multiply the window by the best score after the penalty.
    """
    damping = change_penalty(boxes[2], boxes[3], last, penalty)
    damped = damping * score
    near = cosine_window(score.shape[-1]) * (damped.max() if relative else 1)
    chosen = damped * (1 - window) + near * window
    cell = np.unravel_index(int(chosen.argmax()), chosen.shape)
    x, y, width, height = (float(plane[cell]) for plane in boxes)
    return Best(x, y, width, height, float(score[cell]), float(damping[cell]))


def _freeze(plane: Map) -> Map:
    """Make a map read-only: trackers share the cached maps."""
    plane.flags.writeable = False
    return plane
