"""Whether two pictures show the same thing, told without a network.

A network's score says that something like the template is there, and says it of look-alikes as
well. Colours and their coarse layout are cheap, and err in other places.
"""

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.tracking.boxes import Image
from siamcorr.tracking.crops import Color, crop_box
from siamcorr.tracking.target import Target


class Appearance(NamedTuple):
    """How a target looks: shares of its colours, and where it is brighter than on average."""

    colors: NDArray[Any]
    layout: NDArray[Any]


def appearance_of(frame: Image, target: Target, fill: Color) -> Appearance:
    """How the middle of a target's box looks."""
    width, height = target.size
    patch = crop_box(frame, target.center, (0.8 * width, 0.8 * height), 64, fill).image
    hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256])
    small = cv2.resize(patch, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float64)
    layout = (small - small.mean(axis=(0, 1))).ravel()
    length = float(np.linalg.norm(layout))
    return Appearance(counts.ravel() / counts.sum(), layout / length if length else layout)


def similarity(view: Appearance, known: tuple[Appearance, ...]) -> float:
    """How much a view looks like the most similar of some others: 1 for equal, about 0 for not.

    The geometric mean of what the colours have in common (Bhattacharyya's coefficient) and of the
    layouts' correlation; the colours alone, where neither has a layout.
    """
    shares = []
    for other in known:
        common = float(np.sqrt(view.colors * other.colors).sum())
        plain = not view.layout.any() and not other.layout.any()
        same = common if plain else max(0.0, float(view.layout @ other.layout))
        shares.append(math.sqrt(common * same))
    return max(shares)
