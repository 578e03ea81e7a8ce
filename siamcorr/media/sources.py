"""Where frames come from: a video file, an image folder, a camera, a stream.

`open_source` looks at what it is given and returns one of them; all give Frames in RGB.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

FOLDER_FPS = 30.0
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".pgm", ".ppm"}
)


class SourceError(ValueError):
    """A source that cannot be opened, or that broke while it was read."""


@dataclass(frozen=True)
class Frame:
    """A frame: its index in the source from 0, its time in seconds, its image (H, W, 3) RGB."""

    index: int
    time: float
    image: NDArray[np.uint8]


class Source(Protocol):
    """What all sources offer. Iterate once; close when done, a live one above all."""

    name: str
    live: bool
    fps: float
    frame_count: int | None

    def __iter__(self) -> Iterator[Frame]:
        """Read on, frame by frame."""

    def close(self) -> None:
        """Let the file or the device go."""


def open_source(source: str | Path, start: int = 0) -> Source:
    """Open whatever source names.

    Args:
        source: a video file, a folder of images, a camera index ("0") or a stream URL.
        start: frames to leave out at the beginning.

    Raises:
        SourceError: nothing there, nothing readable, or not so many frames.
    """
    text = str(source)
    if start < 0:
        raise SourceError(f"start must be >= 0, got {start}")
    if Path(text).is_dir():
        return ImageFolder(Path(text), start)
    if text.isdecimal() and not Path(text).exists():
        return Capture(int(text), f"camera {text}", start, live=True)
    if "://" in text:
        return Capture(text, text, start, live=True)
    if not Path(text).exists():
        raise SourceError(f"{text}: no such file or folder")
    return Capture(text, text, start, live=False)


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


class ImageFolder:
    """The images of a folder in natural order, as a clip of FOLDER_FPS frames a second."""

    live = False
    fps = FOLDER_FPS

    def __init__(self, folder: Path, start: int = 0) -> None:
        self.name = str(folder)
        files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        self.files = sorted(files, key=natural_key)
        if len(self.files) <= start:
            raise SourceError(f"{folder}: {len(self.files)} images, none at index {start}")
        self.start = start
        self.frame_count: int | None = len(self.files) - start

    def __iter__(self) -> Iterator[Frame]:
        """Read on, see `read_image`.

        Raises:
            SourceError: a file that is no image.
        """
        for index, path in enumerate(self.files[self.start :], self.start):
            yield Frame(index, index / self.fps, read_image(path))

    def close(self) -> None:
        """Nothing is held open."""


class Capture:
    """What OpenCV captures from: a video file, a camera or a stream."""

    def __init__(self, target: str | int, name: str, start: int = 0, *, live: bool) -> None:
        self.name, self.live = name, live
        try:
            self._capture = cv2.VideoCapture(target)
        except cv2.error:  # a camera index that is no C int
            raise SourceError(f"{name}: cannot be opened") from None
        self.start = start
        opened = self._capture.isOpened()
        if not opened or not all(self._capture.grab() for _ in range(start + 1)):
            self._capture.release()
            if opened and start:
                raise SourceError(f"{name}: has no frame {start}")
            raise SourceError(f"{name}: cannot be opened" if live else f"{name}: not a video")
        self.fps = _sound(self._capture.get(cv2.CAP_PROP_FPS)) or FOLDER_FPS
        count = int(_sound(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.frame_count = max(0, count - start) or None

    def __iter__(self) -> Iterator[Frame]:
        """Read on; a file may end early, see `frame_count`.

        Raises:
            SourceError: a live source stopped.
        """
        index, began = self.start, time.monotonic()
        grabbed = True  # the first frame, by __init__
        while grabbed:
            ok, image = self._capture.retrieve()
            if ok:
                yield Frame(index, self._time(index, began), _rgb(image))
            index += 1
            grabbed = self._capture.grab()
        if self.live:
            raise SourceError(f"{self.name}: stopped after {index - self.start} frames")

    def _time(self, index: int, began: float) -> float:
        if self.live:
            return time.monotonic() - began
        milliseconds = _sound(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return milliseconds / 1000 if milliseconds or not index else index / self.fps

    def close(self) -> None:
        """Release the file or the device."""
        self._capture.release()


def _sound(value: float) -> float:
    """A property of a capture; backends answer -1, 0, nan or nonsense for what they ignore."""
    return value if 0 < value < 1e9 else 0.0


def _rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
