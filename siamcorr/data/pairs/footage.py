"""Footage: videos in which nobody marked anything.

Neighbouring frames show the same things a moment later, so that any part of the one is to be found
at about the same place in the other.
"""

import warnings
from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from siamcorr.data.synthetic.clips import Box, Image
from siamcorr.data.synthetic.photo_warps import photo_pair
from siamcorr.media import open_source

LONGEST = 480  # pixels; larger frames are shrunk
KEPT = 300  # frames of each video
FARTHEST = 3  # frames between neighbours
CUT = 25.0  # mean difference in grey levels: more is another scene


class Footage:
    """The frames of some videos, kept in memory.

    Args:
        paths: of videos; one that cannot be read is left out, with a warning that names it.

    Raises:
        ValueError: none can be read.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.shots: list[list[Image]] = []
        names = [str(path) for path in paths]
        for name in names:
            try:
                self.shots += _shots(name)
            except (OSError, ValueError) as error:
                warnings.warn(f"{name}: {error}, left out", stacklevel=2)
        if not self.shots:
            raise ValueError(f"footage: nothing can be read of {', '.join(names) or 'no videos'}")

    def pair(self, rng: np.random.Generator) -> list[tuple[Image, Box]]:
        """Two views of one part of a frame and of a neighbour, each with its box_xywh."""
        shot = self.shots[rng.integers(len(self.shots))]
        first = int(rng.integers(len(shot)))
        near = [i for i in range(first - FARTHEST, first + FARTHEST + 1) if 0 <= i < len(shot)]
        return photo_pair(shot[first], rng, shot[near[rng.integers(len(near))]])


def _shots(name: str) -> list[list[Image]]:
    """The runs of frames between cuts, of two frames at least."""
    shots: list[list[Image]] = [[]]
    with closing(open_source(name)) as source:
        for frame in islice(source, KEPT):
            scale = min(1.0, LONGEST / max(frame.image.shape[:2]))
            image = cv2.resize(frame.image, None, fx=scale, fy=scale).astype(np.uint8)
            if shots[-1] and _differs(shots[-1][-1], image):
                shots.append([])
            shots[-1].append(image)
    return [shot for shot in shots if len(shot) > 1]


def _differs(a: Image, b: Image) -> bool:
    small = [cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA) for image in (a, b)]
    return float(np.abs(small[0].astype(float) - small[1]).mean()) > CUT
