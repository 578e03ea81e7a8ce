"""Where frames come from: a video file, an image folder, a camera, a stream.

`open_source` looks at what it is given and returns one of them; all give Frames in RGB. What is
stored gives every frame; what is live gives the newest one and is connected again where it breaks
off.
"""

import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.media.live import Patience, ReadingThread, Reconnecting

FOLDER_FPS = 30.0
AHEAD = 4  # frames of a file that may wait to be taken
STREAM, CAMERA = Patience(), Patience(total=8.0)
OPEN_MS, READ_MS = 10_000, 5_000  # how long FFmpeg may wait for a stream
BROKEN = 100  # frames in a row that cannot be decoded, before a live source counts as broken off
COUNTED = frozenset({"file", "http", "https"})  # what may be a file, if it has a length
CLOSING = 1.0  # seconds that closing a live source waits for a call that does not return
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".pgm", ".ppm"}
)


class SourceError(ValueError):
    """A source that cannot be opened, or that broke while it was read."""


@dataclass(frozen=True)
class Frame:
    """A frame: its index in the source from 0, its time in seconds, its image (H, W, 3) RGB.

    The index counts all frames that the source gave, those that were dropped too. The time is a
    place in a file; of a live source it is when the frame was captured, counted from the opening.
    """

    index: int
    time: float
    image: NDArray[np.uint8]


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
    capture = _open(target, name, start)
    counted = text.partition("://")[0] in COUNTED and _sound(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if counted or not (camera or url):
        return VideoFile(name, capture, start)
    patience = patience or (CAMERA if camera else STREAM)
    return LiveSource(name, capture, lambda: _open(target, name), start, patience)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sort key under which img2 comes before img10.

    Example:
        >>> [p.name for p in sorted([Path("a10.png"), Path("a9.png")], key=natural_key)]
        ['a9.png', 'a10.png']
    """
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) uint8 RGB; grey, 16-bit and alpha images are made so.

    Raises:
        SourceError: it is not one.
    """
    content = np.frombuffer(path.read_bytes(), np.uint8)  # any path, also non-ASCII ones
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except cv2.error:  # a header that claims more pixels than OpenCV takes
        image = None
    if image is None:
        raise SourceError(f"{path}: not a readable image")
    return _rgb(image)


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
        self.fps = _sound(capture.get(cv2.CAP_PROP_FPS)) or FOLDER_FPS
        announced = int(_sound(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.frame_count: int | None = max(0, announced - start) or None

    def frames(self) -> Generator[Frame, None, None]:
        """Read on; a frame that cannot be decoded is left out and keeps its number."""
        index, grabbed = self.start, True  # the first frame, by _open
        while grabbed:
            ok, image = self._capture.retrieve()
            if ok:
                yield Frame(index, self._time(index), _rgb(image))
            index += 1
            grabbed = self._capture.grab()

    def _time(self, index: int) -> float:
        milliseconds = _sound(self._capture.get(cv2.CAP_PROP_POS_MSEC))
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
        self.fps = _sound(capture.get(cv2.CAP_PROP_FPS)) or FOLDER_FPS
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


class Connection:
    """What a live source reads until it breaks off: frames with their numbers and times."""

    def __init__(
        self, capture: cv2.VideoCapture, indices: Iterator[int], now: Callable[[], float]
    ) -> None:
        self._capture, self._indices, self._now = capture, indices, now
        self._grabbed = True  # the first frame, by _open

    def read(self) -> Frame | None:
        """The next frame that can be decoded; the others keep their numbers."""
        for _ in range(BROKEN):
            if not (self._grabbed or self._capture.grab()):
                return None
            self._grabbed = False
            index, moment = next(self._indices), self._now()
            ok, image = self._capture.retrieve()
            if ok:
                return Frame(index, moment, _rgb(image))
        return None

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def _open(target: str | int, name: str, start: int = 0) -> cv2.VideoCapture:
    """A capture that has just grabbed frame `start`: some backends open what gives none."""
    stored = isinstance(target, str) and "://" not in target
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
    try:
        if stored or isinstance(target, int):
            capture = cv2.VideoCapture(target)
        else:
            capture = cv2.VideoCapture(target, cv2.CAP_ANY, limits)
    except cv2.error:  # a camera index that is no C int
        raise SourceError(f"{name}: cannot be opened") from None
    opened = capture.isOpened()
    if opened and all(capture.grab() for _ in range(start + 1)):
        return capture
    capture.release()
    if opened and start:
        raise SourceError(f"{name}: has no frame {start}")
    raise SourceError(f"{name}: not a video" if stored else f"{name}: cannot be opened")


def _sound(value: float) -> float:
    """A property of a capture; backends answer -1, 0, nan or nonsense for what they ignore."""
    return value if 0 < value < 1e9 else 0.0


def _rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
