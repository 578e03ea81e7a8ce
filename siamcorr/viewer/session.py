"""Session: targets that can be added, marked again and dropped between frames."""

from collections import deque
from collections.abc import Sequence

from siamcorr.media import Frame
from siamcorr.tracking import Box, MultiTracker, TrackResult
from siamcorr.tracking.boxes import Image

TRAIL = 60  # frames


class Session:
    """The targets in one source.

    Boxes are in pixels of the frames.

    Args:
        tracker: tracks the targets.

    Attributes:
        results: of the last frame, by target.
        trails: centres in the last frames, by target.
        portraits: cut-out of each target from the frame in which it was marked.
    """

    def __init__(self, tracker: MultiTracker) -> None:
        self.tracker = tracker
        self.results: dict[int, TrackResult] = {}
        self.trails: dict[int, deque[tuple[float, float]]] = {}
        self.portraits: dict[int, Image] = {}

    def step(self, frame: Frame, *, response: bool = False) -> dict[int, TrackResult]:
        """Track all targets in the next frame; with `response`, results include response maps.

        Raises:
            ValueError: the frame differs in size from the earlier ones.
        """
        self.results = self.tracker.update(frame.image, response=response)
        for number, result in self.results.items():
            self._extend_trail(number, result)
        return self.results

    def add(self, frame: Frame, box: Sequence[float]) -> int:
        """Add a target and return its number.

        Raises:
            ValueError: the box has no size or lies outside of the frame.
        """
        number = self.tracker.add(frame.image, box)
        self._start(number, frame, box)
        return number

    def renew(self, number: int, frame: Frame, box: Sequence[float]) -> None:
        """Start a target again from a new box; its number stays.

        Raises:
            KeyError: there is no such target.
            ValueError: as `add`.
        """
        self.tracker.renew(number, frame.image, box)
        self._start(number, frame, box)

    def drop(self, number: int) -> None:
        """Remove a target.

        Raises:
            KeyError: there is no such target.
        """
        self.tracker.remove(number)
        for kept in (self.results, self.trails, self.portraits):
            kept.pop(number, None)

    def at(self, x: float, y: float) -> int | None:
        """The target with the smallest box that contains a point, else the newest target."""
        areas = {
            number: result.box_xywh[2] * result.box_xywh[3]
            for number, result in self.results.items()
            if _contains(result.box_xywh, x, y)
        }
        if areas:
            return min(areas, key=lambda number: areas[number])
        return max(self.results, default=None)

    def _start(self, number: int, frame: Frame, box: Sequence[float]) -> None:
        x, y, w, h = (float(value) for value in box)
        self.results[number] = TrackResult((x, y, w, h), 1.0)
        self.trails[number] = deque(maxlen=TRAIL)
        self._extend_trail(number, self.results[number])
        rows, columns = (slice(max(0, round(a)), round(a + b) + 1) for a, b in ((y, h), (x, w)))
        self.portraits[number] = frame.image[rows, columns].copy()

    def _extend_trail(self, number: int, result: TrackResult) -> None:
        x, y, w, h = result.box_xywh
        if not result.lost:
            self.trails[number].append((x + w / 2, y + h / 2))


def _contains(box: Box, x: float, y: float) -> bool:
    return box[0] <= x < box[0] + box[2] and box[1] <= y < box[1] + box[3]
