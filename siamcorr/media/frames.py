"""Frame, and the errors of sources."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALLBACK_FPS = 30.0  # for sources without a frame rate


class SourceError(ValueError):
    """A source cannot be opened, or failed while it was read."""


class NoSuchFrameError(SourceError):
    """The source ends before the requested frame."""


@dataclass(frozen=True)
class Frame:
    """A frame: its index in the source from 0, its time in seconds, its image (H, W, 3) RGB.

    The index counts all frames of the source, dropped ones included. The time of a file's frame is
    its position in the file; of a live source's, the seconds from opening to capture.
    """

    index: int
    time: float
    image: NDArray[np.uint8]
