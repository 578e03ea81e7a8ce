"""What waits for whoever reads it: a folder of images, a video file. No frame is left out."""

from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path

import cv2

from siamcorr.media.frames import FALLBACK_FPS, Frame, NoSuchFrameError
from siamcorr.media.images import IMAGE_SUFFIXES, natural_key, read_image, rgb
from siamcorr.media.sources.opencv_capture import plausible
from siamcorr.media.sources.reader_thread import ReadingThread

AHEAD = 4  # frames that may wait to be taken


class StoredSource:
    """A thread reads ahead, and waits while nobody takes what it read."""

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
    """The images of a folder in natural order, as a clip of FALLBACK_FPS frames a second."""

    fps = FALLBACK_FPS

    def __init__(self, folder: Path, start: int = 0) -> None:
        self.name = str(folder)
        files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        self.files = sorted(files, key=natural_key)
        if len(self.files) <= start:
            raise NoSuchFrameError(f"{folder}: {len(self.files)} images, none at index {start}")
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
        self.fps = plausible(capture.get(cv2.CAP_PROP_FPS)) or FALLBACK_FPS
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
