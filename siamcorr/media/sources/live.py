"""Live sources: cameras and streams."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

import cv2

from siamcorr.media.frames import FALLBACK_FPS, Frame, SourceError
from siamcorr.media.sources.opencv_capture import Connection, plausible
from siamcorr.media.sources.reader_thread import ReaderThread
from siamcorr.media.sources.reconnect import Patience, Reconnector

MAX_FPS = 1000.0  # some cameras report their clock ticks as fps
CLOSE_TIMEOUT = 1.0  # seconds to wait for a read that does not return


class LiveSource:
    """A camera or a stream; each iteration gives the newest frame.

    A thread reads from opening to `close`, so slow processing does not add delay to later frames.
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
        self.fps = plausible(capture.get(cv2.CAP_PROP_FPS), MAX_FPS) or FALLBACK_FPS
        self._began, self._indices, self._stop = time.monotonic(), count(start), threading.Event()
        first = Connection(capture, self._indices, self.now)
        self._source = Reconnector(
            first, lambda: Connection(reopen(), self._indices, self.now), patience, self._stop
        )
        self._reader = ReaderThread(self._source.read_all(), 1, newest=True, stop=self._stop)

    @property
    def dropped(self) -> int:
        """Number of frames that were dropped for a newer one."""
        return self._reader.dropped

    @property
    def reconnects(self) -> int:
        """Number of reconnects after a lost connection."""
        return self._source.reconnects

    def now(self) -> float:
        """Seconds since opening; minus a frame's time, it is the frame's age."""
        return time.monotonic() - self._began

    def __iter__(self) -> Iterator[Frame]:
        """Wait for the next new frame, until the source is closed.

        Raises:
            SourceError: the connection was lost and reconnecting failed.
        """
        try:
            yield from self._reader
        except TimeoutError as error:
            frames = next(self._indices) - self.start  # the thread has ended, so the count is final
            raise SourceError(f"{self.name}: stopped after {frames} frames, {error}") from None

    def close(self) -> None:
        """Close the device; if a read is blocked, the device is released when the read returns."""
        self._reader.close(CLOSE_TIMEOUT)
