"""Decoding: from a network's maps to one box in the search crop, anchor-free.

Every response cell votes with a score and a box. The score is damped where the box differs from
the last one in size or shape, and raised towards the centre; the best cell wins.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamcorr.models.presets import RecipeConfig
from siamcorr.tracking.crops import context_side

Map = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Best:
    """The winning cell: centre and size in crop pixels, score 0..1, penalty 0..1."""

    x: float
    y: float
    width: float
    height: float
    score: float
    penalty: float


def softmax_score(logits: Map) -> Map:
    """(2, S, S) logits of background and target -> (S, S) probability of target, 0..1."""
    probability: Map = 1 / (1 + np.exp(logits[0] - logits[1]))
    return probability


@cache
def point_grid(cells: int, stride: int, size: int) -> Map:
    """Where each response cell looks: x and y in crop pixels, continuous.

    The cell at index cells // 2 looks at the crop's middle; with an even number of cells there
    is one more before it than behind.

    Returns:
        (2, cells, cells), x then y.
    """
    line = size / 2 + stride * (np.arange(cells) - cells // 2)
    return _shared(np.stack(np.meshgrid(line, line)))


def boxes_from_distances(points: Map, distances: Map) -> Map:
    """Distances to left, top, right, bottom -> boxes as centre and size.

    Args:
        points: (2, S, S), from `point_grid`.
        distances: (4, S, S) in crop pixels.

    Returns:
        (4, S, S): centre x, centre y, width, height in crop pixels.
    """
    left, top, right, bottom = distances
    x = points[0] + (right - left) / 2
    y = points[1] + (bottom - top) / 2
    return np.stack([x, y, left + right, top + bottom])


def change_penalty(width: Map, height: Map, last: tuple[float, float], strength: float) -> Map:
    """Damp boxes that differ from the last in size or in shape: 1 for none, towards 0.

    penalty = exp(-strength * (change of side * change of ratio - 1)), each change >= 1; the
    side is that of `context_side`.
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
    return _shared(np.outer(line, line))


def best_box(
    score: Map, boxes: Map, last: tuple[float, float], recipe: RecipeConfig, window: Map
) -> Best:
    """Choose the cell with the best damped and windowed score.

    Args:
        score: (S, S), from `softmax_score`.
        boxes: (4, S, S), from `boxes_from_distances`.
        last: width and height of the last box in crop pixels.
        recipe: penalty and window weights.
        window: (S, S), from `cosine_window`.
    """
    penalty = change_penalty(boxes[2], boxes[3], last, recipe.penalty)
    damped = penalty * score * (1 - recipe.window) + window * recipe.window
    cell = np.unravel_index(int(damped.argmax()), damped.shape)
    x, y, width, height = (float(plane[cell]) for plane in boxes)
    return Best(x, y, width, height, float(score[cell]), float(penalty[cell]))


def _shared(plane: Map) -> Map:
    """Cached maps go to many trackers; none may write into them."""
    plane.flags.writeable = False
    return plane
