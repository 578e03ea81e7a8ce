"""Between two marks of a person: the target followed from both, instead of a straight line.

The marks always win. Where the tracker is not sure of a frame, the person is asked for one more.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from siamcorr.data.annotation.keyframes import Mark, clipped, interpolated
from siamcorr.data.datasets.groundtruth_files import Rows
from siamcorr.media import read_image
from siamcorr.models import Network
from siamcorr.tracking import Box, TrackResult, follow_marks
from siamcorr.tracking.boxes import Image
from siamcorr.tracking.redetection import found_above

Stretch = tuple[int, Box, int, Box]  # two marked frames, and the box in each


class Filling:
    """The boxes between marks, by a tracker; what was followed once is kept.

    Args:
        network: what `Tracker` takes.
        frames: paths of all frames.
    """

    def __init__(self, network: Network, frames: list[Path]) -> None:
        self._network, self._frames = network, frames
        self._followed: dict[Stretch, list[TrackResult]] = {}

    def boxes(self, marks: Mapping[int, Mark]) -> Rows:
        """The boxes of all frames, (N, 4); NaN where there is none, as in `interpolated`."""
        boxes = interpolated(marks, len(self._frames))
        for stretch in _stretches(marks):
            size = read_image(self._frames[stretch[0]]).shape[:2]
            for frame, result in self._results(stretch).items():
                boxes[frame] = clipped(result.box_xywh, size) or boxes[frame]
        return boxes

    def unsure(self, marks: Mapping[int, Mark]) -> tuple[int, Mark] | None:
        """The frame that the tracker is least sure of, and its guess; None if it is sure of all.

        It is not sure of a frame with a score below what the preset takes for a target in sight.
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
        boxes = interpolated(marks, len(self._frames))
        x, y, w, h = seen or (float(value) for value in boxes[frame])
        return frame, Mark((x, y, w, h))

    def _results(self, stretch: Stretch) -> dict[int, TrackResult]:
        """What is said of each frame between the two."""
        first, one, last, other = stretch
        if stretch not in self._followed:
            images = _Images(self._frames[first : last + 1])
            marks = {"target": {0: one, last - first: other}}
            self._followed[stretch] = follow_marks(self._network, images, marks)["target"]
        inner = self._followed[stretch][1:-1]
        return dict(enumerate(inner, first + 1))


class _Images:
    """Stored frames as images."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths

    def __getitem__(self, number: int) -> Image:
        return read_image(self._paths[number])


def _stretches(marks: Mapping[int, Mark]) -> list[Stretch]:
    """Each two neighbouring marks that are boxes, with frames between them."""
    said = [(frame, marks[frame].box_xywh) for frame in sorted(marks)]
    return [
        (first, one, last, other)
        for (first, one), (last, other) in pairwise(said)
        if one and other and last - first > 1
    ]
