"""Pairs from footage: videos without annotations.

Neighbouring frames show the same scene, so any part of one frame is at about the same place in the
other.
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
MAX_FRAMES = 300  # kept of each video
FARTHEST = 3  # frames between neighbours
CUT = 25.0  # mean difference in grey levels above which a new scene begins


class Footage:
    """The frames of some videos, kept in memory.

    Args:
        paths: of videos; a video that cannot be read is skipped with a warning.

    Raises:
        ValueError: no video can be read.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.shots: list[list[Image]] = []
        names = [str(path) for path in paths]
        for name in names:
            try:
                self.shots += _read_shots(name)
            except (OSError, ValueError) as error:
                warnings.warn(f"{name}: {error}, left out", stacklevel=2)
        if not self.shots:
            raise ValueError(f"footage: no readable video in {', '.join(names) or 'no paths'}")

    def pair(self, rng: np.random.Generator) -> list[tuple[Image, Box]]:
        """Two views of the same part, from a frame and a neighbour, each with its box_xywh."""
        shot = self.shots[rng.integers(len(self.shots))]
        first = int(rng.integers(len(shot)))
        near = [i for i in range(first - FARTHEST, first + FARTHEST + 1) if 0 <= i < len(shot)]
        return photo_pair(shot[first], rng, shot[near[rng.integers(len(near))]])


def _read_shots(name: str) -> list[list[Image]]:
    """Read a video and split it at its cuts into shots of at least two frames."""
    shots: list[list[Image]] = [[]]
    with closing(open_source(name)) as source:
        for frame in islice(source, MAX_FRAMES):
            scale = min(1.0, LONGEST / max(frame.image.shape[:2]))
            image = cv2.resize(frame.image, None, fx=scale, fy=scale).astype(np.uint8)
            if shots[-1] and _differs(shots[-1][-1], image):
                shots.append([])
            shots[-1].append(image)
    return [shot for shot in shots if len(shot) > 1]


def _differs(a: Image, b: Image) -> bool:
    small = [cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA) for image in (a, b)]
    return float(np.abs(small[0].astype(float) - small[1]).mean()) > CUT
