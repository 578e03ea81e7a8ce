"""Pairs from unlabelled pictures: a random part and the same part again, for distillation."""

from collections.abc import Sequence

import numpy as np

from siamcorr.data.pairs.picture_stock import Stock
from siamcorr.data.synthetic.clips import Box, Image
from siamcorr.data.synthetic.photo_warps import photo_pair

FARTHEST = 20  # frames between the two views


class Anything:
    """Pictures and videos as a source of pairs; an object may leave its box between the views.

    Args:
        places: see `Stock`.

    Raises:
        OSError, ValueError: as `Stock`.
    """

    def __init__(self, places: Sequence[str]) -> None:
        self.stock = Stock(places)

    def pair(self, rng: np.random.Generator) -> list[tuple[Image, Box]]:
        """Two views, of two frames if it is a video, each with the box_xywh of the same place."""
        frames = self.stock.shot(rng)
        first = int(rng.integers(len(frames)))
        low, high = max(0, first - FARTHEST), min(len(frames), first + FARTHEST + 1)
        later = int(rng.integers(low, high))
        return photo_pair(frames[first], rng, frames[later])
