"""What is followed at the moment: targets are added, renewed and dropped while frames go by."""

from collections import deque
from collections.abc import Sequence

from siamcorr.media import Frame
from siamcorr.tracking import Box, MultiTracker, TrackResult
from siamcorr.tracking.boxes import Image

TRAIL = 60  # frames


class Session:
    """Some targets in one source.

    Boxes are in the pixels of the frames that it is shown.

    Args:
        tracker: follows them.

    Attributes:
        results: of the last frame, by target.
        trails: centres of the last frames, by target.
        portraits: each target as it was when it was marked.
    """

    def __init__(self, tracker: MultiTracker) -> None:
        self.tracker = tracker
        self.results: dict[int, TrackResult] = {}
        self.trails: dict[int, deque[tuple[float, float]]] = {}
        self.portraits: dict[int, Image] = {}

    def step(self, frame: Frame, *, response: bool = False) -> dict[int, TrackResult]:
        """Find all targets in the next frame; with `response` there are maps to look at.

        Raises:
            ValueError: the frame has not the size of those before.
        """
        self.results = self.tracker.update(frame.image, response=response)
        for number, result in self.results.items():
            self._remember(number, result)
        return self.results

    def add(self, frame: Frame, box: Sequence[float]) -> int:
        """Follow what is in the box from here on.

        Raises:
            ValueError: the box has no size or lies outside of the frame.
        """
        number = self.tracker.add(frame.image, box)
        self._begin(number, frame, box)
        return number

    def renew(self, number: int, frame: Frame, box: Sequence[float]) -> None:
        """Go on with a target from another box, under the same number.

        Raises:
            KeyError: it is not followed.
            ValueError: as `add`.
        """
        self.tracker.renew(number, frame.image, box)
        self._begin(number, frame, box)

    def drop(self, number: int) -> None:
        """Follow a target no more.

        Raises:
            KeyError: it is not followed.
        """
        self.tracker.remove(number)
        for kept in (self.results, self.trails, self.portraits):
            kept.pop(number, None)

    def at(self, x: float, y: float) -> int | None:
        """The target whose box holds a point, the smallest of several; else the newest."""
        areas = {
            number: result.box_xywh[2] * result.box_xywh[3]
            for number, result in self.results.items()
            if _holds(result.box_xywh, x, y)
        }
        if areas:
            return min(areas, key=lambda number: areas[number])
        return max(self.results, default=None)

    def _begin(self, number: int, frame: Frame, box: Sequence[float]) -> None:
        x, y, w, h = (float(value) for value in box)
        self.results[number] = TrackResult((x, y, w, h), 1.0)
        self.trails[number] = deque(maxlen=TRAIL)
        self._remember(number, self.results[number])
        rows, columns = (slice(max(0, round(a)), round(a + b) + 1) for a, b in ((y, h), (x, w)))
        self.portraits[number] = frame.image[rows, columns].copy()

    def _remember(self, number: int, result: TrackResult) -> None:
        x, y, w, h = result.box_xywh
        if not result.lost:
            self.trails[number].append((x + w / 2, y + h / 2))


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x < box[0] + box[2] and box[1] <= y < box[1] + box[3]
