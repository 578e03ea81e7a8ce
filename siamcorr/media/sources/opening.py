"""Open a source: a video file, an image folder, a camera or a stream.

All sources give RGB Frames. A stored source gives every frame. A live source gives the newest frame
and reconnects after a lost connection.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cv2

from siamcorr.media.frames import Frame, NoSuchFrameError, SourceError
from siamcorr.media.sources.av_video import DecodedVideo
from siamcorr.media.sources.files import ImageFolder, VideoFile
from siamcorr.media.sources.live import LiveSource
from siamcorr.media.sources.opencv_capture import open_capture, plausible
from siamcorr.media.sources.reconnect import Patience
from siamcorr.media.sources.standard_input import open_standard_input

STREAM, CAMERA = Patience(), Patience(total=8.0)
FILE_SCHEMES = frozenset({"http", "https"})  # may be a file, if it has a frame count


class Source(Protocol):
    """Interface of all sources. Iterate once, then close; a live source runs until closed."""

    name: str
    live: bool
    fps: float
    frame_count: int | None

    @property
    def dropped(self) -> int:
        """Number of frames that were dropped for a newer one."""

    @property
    def reconnects(self) -> int:
        """Number of reconnects after a lost connection."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames."""

    def close(self) -> None:
        """Close the file or the device."""


def open_source(source: str | Path, start: int = 0, patience: Patience | None = None) -> Source:
    """Open a source of frames.

    PyAV (extra `video`) decodes files; OpenCV does if PyAV is missing or cannot read the file. An
    http or https URL whose video has a frame count is read as a file.

    Args:
        source: a video file, a folder of images, a camera index ("0"), a stream URL, or "-" for
            a video from standard input, which is read to its end first.
        start: number of frames to skip at the beginning.
        patience: how long a live source tries to reconnect; default `STREAM` or `CAMERA`.

    Raises:
        SourceError: the source does not exist, cannot be read, or has no frame `start`.
    """
    text = str(source)
    if start < 0:
        raise SourceError(f"start must be >= 0, got {start}")
    if text == "-":
        return open_standard_input(lambda name, path: _open_file(name, path, start))
    if Path(text).is_dir():
        return ImageFolder(Path(text), start)
    camera = text.isdecimal() and not Path(text).exists()
    url = "://" in text
    if not (camera or url or Path(text).exists()):
        raise SourceError(f"{text}: no such file or folder")
    if not (camera or url):
        return _open_file(text, Path(text), start)
    if text.startswith("file://"):
        return _open_file(text, Path(url2pathname(urlsplit(text).path)), start)
    target = int(text) if camera else text
    name = f"camera {text}" if camera else text
    capture = open_capture(target, name, start)
    frames = plausible(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if frames > 0 and text.partition("://")[0] in FILE_SCHEMES:
        return VideoFile(name, capture, start)
    patience = patience or (CAMERA if camera else STREAM)
    return LiveSource(name, capture, lambda: open_capture(target, name), start, patience)


def _open_file(name: str, path: Path, start: int) -> Source:
    """Open a video file with PyAV, or with OpenCV if PyAV is missing or cannot read it."""
    if path.is_fifo():  # opening a pipe without a writer would block forever
        raise SourceError(f"{name}: is a pipe; send it into standard input, with - as the source")
    with path.open("rb"):
        pass  # raises the system's own error if the file cannot be opened
    try:
        return DecodedVideo(name, path, start)
    except ModuleNotFoundError:
        return VideoFile(name, open_capture(path, name, start), start)
    except NoSuchFrameError:
        raise
    except SourceError:
        with suppress(SourceError):  # if OpenCV fails, too, PyAV's error says more
            return VideoFile(name, open_capture(path, name, start), start)
        raise
