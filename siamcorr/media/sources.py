"""Where frames come from: a video file, an image folder, a camera, a stream.

`open_source` looks at what it is given and returns one of them; all give Frames in RGB. What is
stored gives every frame; what is live gives the newest one and is connected again where it breaks
off.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Protocol

import cv2

from siamcorr.media.captures import Connection, open_capture, plausible
from siamcorr.media.frames import Frame, SourceError
from siamcorr.media.images import IMAGE_SUFFIXES, natural_key, read_image, rgb
from siamcorr.media.live import Patience, ReadingThread, Reconnecting

FOLDER_FPS = 30.0
FASTEST = 1000.0  # frames a second; some cameras announce the ticks of their clock
AHEAD = 4  # frames of a file that may wait to be taken
STREAM, CAMERA = Patience(), Patience(total=8.0)
COUNTED = frozenset({"file", "http", "https"})  # what may be a file, if it has a length
CLOSING = 1.0  # seconds that closing a live source waits for a call that does not return


class Source(Protocol):
    """What all sources offer. Iterate once; close when done, a live one above all."""

    name: str
    live: bool
    fps: float
    frame_count: int | None

    @property
    def dropped(self) -> int:
        """How many frames were left out for a newer one."""

    @property
    def reconnects(self) -> int:
        """How often the source came back after it had broken off."""

    def __iter__(self) -> Iterator[Frame]:
        """Read on, frame by frame."""

    def close(self) -> None:
        """Let the file or the device go."""


def open_source(source: str | Path, start: int = 0, patience: Patience | None = None) -> Source:
    """Open whatever source names.

    A URL of http, https or file whose video says how many frames it has is read as a file.

    Args:
        source: a video file, a folder of images, a camera index ("0") or a stream URL.
        start: frames to leave out at the beginning.
        patience: with a live source that breaks off; `STREAM` or `CAMERA` if not given.

    Raises:
        SourceError: nothing there, nothing readable, or not so many frames.
    """
    text = str(source)
    if start < 0:
        raise SourceError(f"start must be >= 0, got {start}")
    if Path(text).is_dir():
        return ImageFolder(Path(text), start)
    camera = text.isdecimal() and not Path(text).exists()
    url = "://" in text
    if not (camera or url or Path(text).exists()):
        raise SourceError(f"{text}: no such file or folder")
    target, name = (int(text), f"camera {text}") if camera else (text, text)
    capture = open_capture(target, name, start)
    frames = plausible(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    counted = frames > 0 and text.partition("://")[0] in COUNTED
    if counted or not (camera or url):
        return VideoFile(name, capture, start)
    patience = patience or (CAMERA if camera else STREAM)
    return LiveSource(name, capture, lambda: open_capture(target, name), start, patience)


class StoredSource:
    """A source that waits for whoever reads it: a thread reads ahead, and no frame is left out."""

    live = False
    dropped = reconnects = 0
    _reading: ReadingThread[Frame] | None = None

    def __iter__(self) -> Iterator[Frame]:
        """Read on, see `frames` of the class."""
        frames = self.frames()
        yield from islice(frames, 1)  # who takes a single frame waits for no other
        self._reading = reading = ReadingThread(frames, AHEAD, newest=False)
        try:
            yield from reading
        finally:
            reading.close()

    def frames(self) -> Generator[Frame, None, None]:
        """The frames as they are read, in line with whoever takes them."""
        raise NotImplementedError

    def close(self) -> None:
        """Let the file go."""
        if self._reading is not None:
            self._reading.close()


class ImageFolder(StoredSource):
    """The images of a folder in natural order, as a clip of FOLDER_FPS frames a second."""

    fps = FOLDER_FPS

    def __init__(self, folder: Path, start: int = 0) -> None:
        self.name = str(folder)
        files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        self.files = sorted(files, key=natural_key)
        if len(self.files) <= start:
            raise SourceError(f"{folder}: {len(self.files)} images, none at index {start}")
        self.start = start
        self.frame_count: int | None = len(self.files) - start

    def frames(self) -> Generator[Frame, None, None]:
        """Read on, see `read_image`.

        Raises:
            SourceError: a file that is no image.
        """
        for index, path in enumerate(self.files[self.start :], self.start):
            yield Frame(index, index / self.fps, read_image(path))


class VideoFile(StoredSource):
    """A video file; it may end early, see `frame_count`."""

    def __init__(self, name: str, capture: cv2.VideoCapture, start: int = 0) -> None:
        self.name, self.start, self._capture = name, start, capture
        self.fps = plausible(capture.get(cv2.CAP_PROP_FPS)) or FOLDER_FPS
        announced = int(plausible(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.frame_count: int | None = max(0, announced - start) or None

    def frames(self) -> Generator[Frame, None, None]:
        """Read on; a frame that cannot be decoded is left out and keeps its number."""
        index, grabbed = self.start, True  # the first frame, by open_capture
        while grabbed:
            ok, image = self._capture.retrieve()
            if ok:
                yield Frame(index, self._time(index), rgb(image))
            index += 1
            grabbed = self._capture.grab()

    def _time(self, index: int) -> float:
        milliseconds = plausible(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return milliseconds / 1000 if milliseconds or not index else index / self.fps

    def close(self) -> None:
        """Release the file."""
        super().close()
        self._capture.release()


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
        self.fps = plausible(capture.get(cv2.CAP_PROP_FPS), FASTEST) or FOLDER_FPS
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
