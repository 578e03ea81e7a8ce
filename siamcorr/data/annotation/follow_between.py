"""Fill the frames between two keyframes by tracking from both, instead of a straight line.

Keyframes are never changed. If the tracker is unsure of a frame, the person is asked to mark it.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from siamcorr.data.annotation.keyframes import Mark, clipped, interpolate
from siamcorr.data.datasets.groundtruth_files import Rows
from siamcorr.media import read_image
from siamcorr.models import Network
from siamcorr.tracking import Box, TrackResult, follow_marks
from siamcorr.tracking.boxes import Image
from siamcorr.tracking.redetection import found_above

Stretch = tuple[int, Box, int, Box]  # two keyframes, each followed by its box


class Filling:
    """Boxes between marks by a tracker; results are cached.

    Args:
        network: for `Tracker`.
        frames: paths of all frames.
    """

    def __init__(self, network: Network, frames: list[Path]) -> None:
        self._network, self._frames = network, frames
        self._tracked: dict[Stretch, list[TrackResult]] = {}

    def boxes(self, marks: Mapping[int, Mark]) -> Rows:
        """The boxes of all frames, (N, 4); NaN where there is none, as in `interpolate`."""
        boxes = interpolate(marks, len(self._frames))
        for stretch in _stretches(marks):
            size = read_image(self._frames[stretch[0]]).shape[:2]
            for frame, result in self._results(stretch).items():
                boxes[frame] = clipped(result.box_xywh, size) or boxes[frame]
        return boxes

    def unsure(self, marks: Mapping[int, Mark]) -> tuple[int, Mark] | None:
        """The frame with the lowest score, and the tracker's box there; None if it is sure of all.

        The tracker is unsure of a frame if the score is below the preset's limit for a visible
        target.
        """
        recipe = self._network.preset.recipe
        below = found_above(recipe) if recipe.lost_below else 0.0
        worst: tuple[float, int, Box] | None = None
        for stretch in _stretches(marks):
            for frame, result in self._results(stretch).items():
                if result.score < below and (worst is None or result.score < worst[0]):
                    worst = result.score, frame, result.box_xywh
        if worst is None:
            return None
        _, frame, box = worst
        seen = clipped(box, read_image(self._frames[frame]).shape[:2])
        boxes = interpolate(marks, len(self._frames))
        x, y, w, h = seen or (float(value) for value in boxes[frame])
        return frame, Mark((x, y, w, h))

    def _results(self, stretch: Stretch) -> dict[int, TrackResult]:
        """The results of the frames between the two keyframes."""
        first, one, last, other = stretch
        if stretch not in self._tracked:
            images = _Images(self._frames[first : last + 1])
            marks = {"target": {0: one, last - first: other}}
            self._tracked[stretch] = follow_marks(self._network, images, marks)["target"]
        inner = self._tracked[stretch][1:-1]
        return dict(enumerate(inner, first + 1))


class _Images:
    """Reads stored frames by number."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths

    def __getitem__(self, number: int) -> Image:
        return read_image(self._paths[number])


def _stretches(marks: Mapping[int, Mark]) -> list[Stretch]:
    """Pairs of neighbouring keyframes with boxes and with frames between them."""
    keyframes = [(frame, marks[frame].box_xywh) for frame in sorted(marks)]
    return [
        (first, one, last, other)
        for (first, one), (last, other) in pairwise(keyframes)
        if one and other and last - first > 1
    ]
