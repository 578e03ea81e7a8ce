"""Labelled pairs: two annotated frames of a sequence."""

import warnings
from collections.abc import Sequence as Many

import numpy as np
from numpy.typing import NDArray

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.data.frame_cache import cached_frames
from siamcorr.data.synthetic.clips import Box, Image
from siamcorr.media import SourceError, read_image

FARTHEST = 100  # frames between the two


class Labelled:
    """Sequences as a source of pairs; all sequences are chosen equally often.

    Args:
        sequences: from `find_sequences`.

    Raises:
        ValueError: none of them has two frames with a box.
    """

    def __init__(self, sequences: Many[Sequence]) -> None:
        known = ((s, np.flatnonzero(_usable(s.boxes))) for s in sequences)
        self.sequences = [(sequence, frames) for sequence, frames in known if len(frames) > 1]
        if not self.sequences:
            raise ValueError("labelled pairs: no sequence has two frames with a box")

    def pair(self, rng: np.random.Generator) -> list[tuple[Image, Box]]:
        """Two frames of one target, each with its box_xywh.

        A pair with a frame that cannot be read is skipped with a warning.

        Raises:
            ValueError: 100 pairs in a row could not be read.
        """
        for _ in range(100):
            sequence, frames = self.sequences[rng.integers(len(self.sequences))]
            first = int(frames[rng.integers(len(frames))])
            near = frames[np.abs(frames - first) <= FARTHEST]
            second = int(near[rng.integers(len(near))])
            try:
                return [_frame(sequence, index) for index in (first, second)]
            except (OSError, ValueError) as error:
                warnings.warn(f"{sequence.name}: {error}, left out", stacklevel=2)
        raise ValueError("labelled pairs: a hundred in a row could not be read")


def _frame(sequence: Sequence, index: int) -> tuple[Image, Box]:
    x, y, w, h = (float(value) for value in sequence.boxes[index])
    if isinstance(sequence.frames, tuple):
        return read_image(sequence.frames[index]), (x, y, w, h)
    frames = cached_frames(sequence.frames)
    if index >= len(frames):
        raise SourceError(f"{sequence.frames}: frame {index} cannot be read")
    return frames[index], (x, y, w, h)


def _usable(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frames have a box of at least 4 x 4 pixels: (N,)."""
    known = np.logical_and.reduce(np.isfinite(boxes), axis=1)
    with np.errstate(invalid="ignore"):
        usable: NDArray[np.bool_] = known & (boxes[:, 2] >= 4) & (boxes[:, 3] >= 4)
    return usable
