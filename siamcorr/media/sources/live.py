"""What does not wait: a camera, a stream."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

import cv2

from siamcorr.media.frames import FALLBACK_FPS, Frame, SourceError
from siamcorr.media.sources.opencv_capture import Connection, plausible
from siamcorr.media.sources.reader_thread import ReadingThread
from siamcorr.media.sources.reconnect import Patience, Reconnecting

FASTEST = 1000.0  # frames a second; some cameras announce the ticks of their clock
CLOSING = 1.0  # seconds that closing waits for a call that does not return


class LiveSource:
    """A camera or a stream: the newest frame whenever one is asked for.

    A thread reads from the opening on, so that a frame is as old as it takes to arrive, however
    long the one before it was worked on. It ends with `close`.
    """

    live = True
    frame_count: int | None = None

    def __init__(
        self,
        name: str,
        capture: cv2.VideoCapture,
        reopen: Callable[[], cv2.VideoCapture],
        start: int,
        patience: Patience,
    ) -> None:
        self.name, self.start = name, start
        self.fps = plausible(capture.get(cv2.CAP_PROP_FPS), FASTEST) or FALLBACK_FPS
        self._began, self._indices, self._stop = time.monotonic(), count(start), threading.Event()
        first = Connection(capture, self._indices, self.now)
        self._source = Reconnecting(
            first, lambda: Connection(reopen(), self._indices, self.now), patience, self._stop
        )
        self._reading = ReadingThread(self._source.read_all(), 1, newest=True, stop=self._stop)

    @property
    def dropped(self) -> int:
        """How many frames were left out for a newer one."""
        return self._reading.dropped

    @property
    def reconnects(self) -> int:
        """How often the source came back after it had broken off."""
        return self._source.reconnects

    def now(self) -> float:
        """Seconds since the opening; less the time of a frame it is how old that frame is."""
        return time.monotonic() - self._began

    def __iter__(self) -> Iterator[Frame]:
        """Wait for the next frame that has not been given out, until the source is closed.

        Raises:
            SourceError: it broke off and did not come back.
        """
        try:
            yield from self._reading
        except TimeoutError as error:
            frames = next(self._indices) - self.start  # the thread has ended and counts no more
            raise SourceError(f"{self.name}: stopped after {frames} frames, {error}") from None

    def close(self) -> None:
        """Let the device go, at the latest when a call that now waits for it returns."""
        self._reading.close(CLOSING)
