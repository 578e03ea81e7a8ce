"""OpenCV captures: open with a check, and read live frames."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2

from siamcorr.media.frames import Frame, NoSuchFrameError, SourceError
from siamcorr.media.images import rgb

OPEN_MS, READ_MS = 10_000, 5_000  # timeouts of FFmpeg for a stream
BROKEN = 100  # decoding failures in a row that count as a lost connection


class Connection:
    """One connection of a live source; reads frames with their numbers and times."""

    def __init__(
        self, capture: cv2.VideoCapture, indices: Iterator[int], now: Callable[[], float]
    ) -> None:
        self._capture, self._indices, self._now = capture, indices, now
        self._grabbed = True  # open_capture has grabbed the first frame

    def read(self) -> Frame | None:
        """The next frame that can be decoded; skipped frames use up a number; None at the end."""
        for _ in range(BROKEN):
            if not (self._grabbed or self._capture.grab()):
                return None
            self._grabbed = False
            index, moment = next(self._indices), self._now()
            ok, image = self._capture.retrieve()
            if ok:
                return Frame(index, moment, rgb(image))
        return None

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def open_capture(target: Path | str | int, name: str, start: int = 0) -> cv2.VideoCapture:
    """Open a capture and grab frame `start`; some backends open sources that give no frames.

    Args:
        target: a file, a URL, or the index of a camera.
        name: shown in errors.
        start: number of frames to skip at the beginning.

    Raises:
        SourceError: the target cannot be opened, or has no frame `start`.
    """
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
    try:
        if isinstance(target, Path):
            capture = cv2.VideoCapture(as_file(target))
        elif isinstance(target, int):
            capture = cv2.VideoCapture(target)
        else:
            check_text(target)
            capture = cv2.VideoCapture(target, cv2.CAP_ANY, limits)
    except cv2.error:  # the camera index does not fit a C int
        raise SourceError(f"{name}: cannot be opened") from None
    opened = capture.isOpened()
    if opened and all(capture.grab() for _ in range(start + 1)):
        return capture
    codec = _codec(capture) if opened else ""
    capture.release()
    if opened and start:
        raise NoSuchFrameError(f"{name}: has no frame {start}")
    raise SourceError(f"{name}: {_open_error(target, codec)}")


def _codec(capture: cv2.VideoCapture) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    letters = code.to_bytes(4, "little").decode("ascii", "replace").lower()
    return {"av01": "av1"}.get(letters, letters) if letters.isalnum() else ""


def _open_error(target: Path | str | int, codec: str) -> str:
    """Why a source gives no frame, and what may help."""
    if not isinstance(target, Path):
        return "cannot be opened"
    if find_spec("av"):
        return "not a video"
    if codec:
        return f"{codec}: no decoder in this OpenCV; pip install 'siamcorr[video]'"
    return "not a video that OpenCV reads; others need: pip install 'siamcorr[video]'"


def as_file(path: Path) -> str:
    """Absolute path, so that FFmpeg does not read a colon in the name as a protocol.

    Raises:
        ValueError: the name is not UTF-8; OpenCV would abort the process.
    """
    check_text(str(path))
    return str(path.absolute())


def check_text(name: str) -> None:
    """Check that a name is UTF-8.

    Raises:
        ValueError: it is not.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name!a}: OpenCV takes names in UTF-8 only") from None


def plausible(value: float, most: float = 1e9) -> float:
    """A capture's property, or 0 if the value is useless: backends return -1, 0, nan or worse."""
    return value if 0 < value < most else 0.0
