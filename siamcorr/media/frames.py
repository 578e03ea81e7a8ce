"""A frame, and the error of whatever should have given one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALLBACK_FPS = 30.0  # where a source does not say


class SourceError(ValueError):
    """A source that cannot be opened, or that broke while it was read."""


class NoSuchFrameError(SourceError):
    """A source that ends before the frame that was asked for."""


@dataclass(frozen=True)
class Frame:
    """A frame: its index in the source from 0, its time in seconds, its image (H, W, 3) RGB.

    The index counts all frames that the source gave, those that were dropped too. The time is a
    place in a file; of a live source it is when the frame was captured, counted from the opening.
    """

    index: int
    time: float
    image: NDArray[np.uint8]
