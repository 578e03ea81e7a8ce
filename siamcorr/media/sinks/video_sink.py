"""Base class of sinks, and the video sink; the sinks for tables are in `tables`.

A sink closes its file properly also after an error, so that results are kept. On a full disk, the
next write raises OSError.
"""

import errno
import math
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.media.sinks.audio import add_audio
from siamcorr.media.sinks.av_writer import BEST, CONTAINERS, WORST, H264Writer, can_write_h264
from siamcorr.media.sources.opencv_capture import as_file

RESERVE = 4 << 20  # bytes left free on the disk for the video's index
WAITING = 8  # frames that an encoder may hold; their size is left free on the disk
CRF = 23  # x264's default; looks like the original
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class Sink:
    """A file to write to; closed at the end of a with block."""

    def __enter__(self) -> Self:
        """Return the sink."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; an error of closing does not hide an earlier one."""
        try:
            self.close()
        except OSError:
            if error is None:
                raise

    def close(self) -> None:
        """Finish the file."""
        raise NotImplementedError


class VideoSink(Sink):
    """Write RGB frames of one size to a video; the suffix of path chooses the format.

    With PyAV (extra `video`), the codec is H.264, which browsers play; the last row or column of an
    odd size is repeated. An .avi is motion JPEG. Without PyAV, the other formats are MPEG-4 Part 2,
    which drops the last row or column of an odd size; the attribute fallback then holds a message.

    The first frame sets the size and opens the writer.

    Args:
        path: of the video.
        fps: frames per second.
        audio_from: a file whose audio is added when the video is closed, see `add_audio`. If that
            fails, the video has no audio and the attribute notice says why.
        start: second of that file at which the video begins.
        crf: quality of H.264, from 1 (large) to 51 (small, coarse); 6 more halve the size.

    Raises:
        ValueError: a suffix not in `CODECS`, a name that is not UTF-8, a frame of another size, a
            start below 0, a crf out of range, or `audio_from` is the file to write.
        OSError: the folder does not exist, the file cannot be written, or the disk is full.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        audio_from: str | Path | None = None,
        start: float = 0.0,
        crf: int = CRF,
    ) -> None:
        self.path, self.fps, self.audio_from, self.start = Path(path), fps, audio_from, start
        self.crf = crf
        self._check()
        self.notice = self.fallback = ""
        self._h264 = self.path.suffix.lower() in CONTAINERS and can_write_h264()
        if self.path.suffix.lower() in CONTAINERS and not self._h264:
            hint = "for H.264: pip install 'siamcorr[video]'"
            self.fallback = f"{path}: MPEG-4 Part 2, which browsers do not play; {hint}"
        self._created = not self.path.exists()
        with self.path.open("ab"):
            pass  # raises the reason, as OpenCV's writer does not; keeps an existing file
        self.frames = 0
        self._shape: tuple[int, ...] = ()
        self._writer: H264Writer | cv2.VideoWriter | None = None

    def _check(self) -> None:
        path, start = self.path, self.start
        if path.suffix.lower() not in CODECS:
            raise ValueError(f"{path}: unknown video suffix, known are {', '.join(CODECS)}")
        as_file(path)
        if not (math.isfinite(start) and start >= 0):
            raise ValueError(f"{path}: start must be a second >= 0, got {start}")
        if not BEST <= self.crf <= WORST:
            raise ValueError(f"{path}: crf must lie in {BEST}..{WORST}, got {self.crf}")
        if self.audio_from is not None and path.resolve() == Path(self.audio_from).resolve():
            raise ValueError(f"{path}: audio_from must be another file, not the one to write")

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a frame (H, W, 3)."""
        if shutil.disk_usage(self.path.parent).free < RESERVE + WAITING * image.nbytes:
            raise OSError(errno.ENOSPC, "no space left on the disk", str(self.path))
        if self.frames and image.shape != self._shape:  # OpenCV would skip it silently
            raise ValueError(f"{self.path}: frame is {image.shape}, the first was {self._shape}")
        if self._writer is None:
            self._writer = self._open(image.shape[1], image.shape[0])
        if isinstance(self._writer, H264Writer):
            self._writer.write(image)
        else:
            self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.frames, self._shape = self.frames + 1, image.shape

    def _open(self, width: int, height: int) -> H264Writer | cv2.VideoWriter:
        if self._h264:
            return H264Writer(self.path, self.fps, (width, height), self.crf)
        codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
        writer = cv2.VideoWriter(as_file(self.path), codec, self.fps, (width, height))
        if not writer.isOpened():
            raise OSError(f"{self.path}: this OpenCV cannot write such a video")
        return writer

    def close(self) -> None:
        """Finish the video and check that it opens; without frames, no new file is left.

        Raises:
            OSError: the video does not open.
        """
        if self._writer is None:
            if self._created and not self.frames:
                self.path.unlink(missing_ok=True)
            return
        writer, self._writer = self._writer, None
        writer.release()
        check = cv2.VideoCapture(as_file(self.path))
        readable = check.isOpened() and check.grab()
        check.release()
        if not readable:
            raise OSError(f"{self.path}: the video could not be finished")
        if self.audio_from is not None:
            reason = add_audio(self.path, self.audio_from, self.start, self.frames, self.fps)
            self.notice = reason and f"{self.path}: without sound: {reason}"
