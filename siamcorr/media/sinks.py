"""Where results go: a video with the boxes drawn, a table of the boxes.

A sink is closed properly whatever happens, so that what was tracked is kept; a disk that fills
up is an OSError at the next write.
"""

import csv
import errno
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

RESERVE = 4 << 20  # bytes left free, so that a video's index can still be written behind it
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class Sink:
    """Something that is written to, and closed at the end of a with block."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; where another error is on its way already, that one counts."""
        try:
            self.close()
        except OSError:
            if error is None:
                raise

    def close(self) -> None:
        """Finish the file."""
        raise NotImplementedError


class VideoSink(Sink):
    """Write RGB frames of one size to a video; the suffix of path chooses the codec.

    The writer is opened at the first frame, whose size is the video's; codecs with shared colour
    samples leave out the last row or column of an odd size.

    Raises:
        ValueError: a suffix that is none of `CODECS`, or a frame of another size.
        OSError: the folder is not there, the file cannot be written, or the disk is full.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path, self.fps = Path(path), fps
        if self.path.suffix.lower() not in CODECS:
            raise ValueError(f"{path}: unknown video suffix, known are {', '.join(CODECS)}")
        self._mine = not self.path.exists()
        with self.path.open("ab"):
            pass  # OpenCV's writer fails without a word; this says why, and keeps what is there
        self.frames = 0
        self._shape: tuple[int, ...] = ()
        self._writer: cv2.VideoWriter | None = None

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a frame (H, W, 3)."""
        if shutil.disk_usage(self.path.parent).free < RESERVE + image.nbytes:
            raise OSError(errno.ENOSPC, "no space left on the disk", str(self.path))
        if self.frames and image.shape != self._shape:  # OpenCV would leave it out silently
            raise ValueError(f"{self.path}: frame is {image.shape}, the first was {self._shape}")
        if self._writer is None:
            height, width = image.shape[:2]
            codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self.path), codec, self.fps, (width, height))
            if not self._writer.isOpened():
                raise OSError(f"{self.path}: this OpenCV cannot write such a video")
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.frames, self._shape = self.frames + 1, image.shape

    def close(self) -> None:
        """Finish the video and see that it opens; without frames nothing is left behind."""
        if self._writer is None:
            if self._mine and not self.frames:
                self.path.unlink(missing_ok=True)
            return
        self._writer.release()
        self._writer = None
        check = cv2.VideoCapture(str(self.path))
        readable = check.isOpened()
        check.release()
        if not readable:
            raise OSError(f"{self.path}: the video could not be finished")


class CsvSink(Sink):
    """Write a row a frame: frame, time, x, y, w, h, score; each row reaches the file at once.

    frame counts from 0 at the source's beginning, time is in seconds, the box in pixels.

    Raises:
        OSError: the file cannot be written, or the disk is full.
    """

    COLUMNS = ("frame", "time", "x", "y", "w", "h", "score")

    def __init__(self, path: str | Path) -> None:
        self._file = Path(path).open("w", newline="", encoding="utf-8")  # noqa: SIM115
        self._rows = csv.writer(self._file)
        try:
            self._row(self.COLUMNS)
        except OSError:
            with suppress(OSError):  # what could not be written now cannot be at closing either
                self._file.close()
            raise

    def write(
        self, frame: int, time: float, box_xywh: tuple[float, float, float, float], score: float
    ) -> None:
        """Append a row."""
        box = (f"{value:.3f}" for value in box_xywh)
        self._row((frame, f"{time:.4f}", *box, f"{score:.4f}"))

    def _row(self, values: tuple[object, ...]) -> None:
        try:
            self._rows.writerow(values)
            self._file.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._file.name) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()
