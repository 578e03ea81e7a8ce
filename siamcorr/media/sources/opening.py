"""Where frames come from: a video file, an image folder, a camera, a stream.

`open_source` looks at what it is given and returns one of them; all give Frames in RGB. What is
stored gives every frame; what is live gives the newest one and is connected again where it breaks
off.
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
COUNTED = frozenset({"http", "https"})  # what may be a file, if it has a length


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

    A file is decoded by PyAV, from its extra `video`, and by OpenCV where that is not installed or
    cannot read it. A URL of http or https whose video says how many frames it has is read as
    a file.

    Args:
        source: a video file, a folder of images, a camera index ("0"), a stream URL, or "-" for
            a video from standard input, which is read to its end first.
        start: frames to leave out at the beginning.
        patience: with a live source that breaks off; `STREAM` or `CAMERA` if not given.

    Raises:
        SourceError: nothing there, nothing readable, or not so many frames.
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
    if frames > 0 and text.partition("://")[0] in COUNTED:
        return VideoFile(name, capture, start)
    patience = patience or (CAMERA if camera else STREAM)
    return LiveSource(name, capture, lambda: open_capture(target, name), start, patience)


def _open_file(name: str, path: Path, start: int) -> Source:
    """A video file: by PyAV, and by OpenCV where that is not installed or cannot read it."""
    if path.is_fifo():  # opening it would wait for whoever writes, for ever if nobody does
        raise SourceError(f"{name}: is a pipe; send it into standard input, with - as the source")
    with path.open("rb"):
        pass  # what the system has against it is said in its words
    try:
        return DecodedVideo(name, path, start)
    except ModuleNotFoundError:
        return VideoFile(name, open_capture(path, name, start), start)
    except NoSuchFrameError:
        raise
    except SourceError:
        with suppress(SourceError):  # what PyAV said says more
            return VideoFile(name, open_capture(path, name, start), start)
        raise
