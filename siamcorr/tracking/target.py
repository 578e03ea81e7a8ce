"""A target: its estimated place in frame pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from siamcorr.tracking.boxes import Box

Pair = tuple[float, float]


@dataclass(frozen=True)
class Target:
    """Place and size of one target after a frame; immutable.

    center: x, y. size: width, height. first_size: size in the first frame.
    frame_size: height, width.
    lost: the recipe searches a larger crop.
    """

    center: Pair
    size: Pair
    first_size: Pair
    frame_size: tuple[int, int]
    lost: bool = False

    @classmethod
    def from_box(cls, box_xywh: Sequence[float], frame_size: tuple[int, int]) -> Self:
        """The target in a box (x, y, w, h) of a frame (height, width)."""
        x, y, w, h = box_xywh
        return cls((x + w / 2, y + h / 2), (w, h), (w, h), frame_size)

    @property
    def box_xywh(self) -> Box:
        """Its box (x, y, w, h)."""
        (x, y), (w, h) = self.center, self.size
        return x - w / 2, y - h / 2, w, h

    def move_to(self, center: Pair, size: Pair, smallest: float) -> Self:
        """Move the target; clip its centre to the frame and its sides to the frame's sides.

        Args:
            center: x, y.
            size: width, height.
            smallest: minimum width and height, in pixels.
        """
        height, width = self.frame_size
        x, y = np.clip(center[0], 0, width), np.clip(center[1], 0, height)
        w = np.clip(size[0], smallest, max(smallest, width))
        h = np.clip(size[1], smallest, max(smallest, height))
        return replace(self, center=(float(x), float(y)), size=(float(w), float(h)))
