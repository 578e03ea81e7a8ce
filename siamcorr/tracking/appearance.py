"""Compare the appearance of two image patches without a network.

The network's score is also high for look-alikes. A colour histogram and a coarse layout are cheap
to compute and fail in other cases than the network.
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
    """Appearance of a target.

    colors: normalised HSV histogram, 12 * 4 * 4 bins.
    layout: 8x8 RGB thumbnail minus its mean colour, flattened, with length 1 (0 if it is flat).
    """

    colors: NDArray[Any]
    layout: NDArray[Any]


def appearance_of(frame: Image, target: Target, fill: Color) -> Appearance:
    """Appearance of the middle of the target's box (80 % of its width and height)."""
    width, height = target.size
    patch = crop_box(frame, target.center, (0.8 * width, 0.8 * height), 64, fill).image
    hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256])
    small = cv2.resize(patch, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float64)
    layout = (small - small.mean(axis=(0, 1))).ravel()
    length = float(np.linalg.norm(layout))
    return Appearance(counts.ravel() / counts.sum(), layout / length if length else layout)


def similarity(view: Appearance, known: tuple[Appearance, ...]) -> float:
    """Similarity of a view to the most similar known view: 1 if equal, about 0 if different.

    The geometric mean of the histograms' Bhattacharyya coefficient and the layouts' correlation;
    if neither view has a layout, the Bhattacharyya coefficient alone.
    """
    shares = []
    for other in known:
        common = float(np.sqrt(view.colors * other.colors).sum())
        plain = not view.layout.any() and not other.layout.any()
        same = common if plain else max(0.0, float(view.layout @ other.layout))
        shares.append(math.sqrt(common * same))
    return max(shares)
