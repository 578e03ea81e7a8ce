"""Stored sources: image folders and video files. They give every frame."""

from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path

import cv2

from siamcorr.media.frames import FALLBACK_FPS, Frame, NoSuchFrameError
from siamcorr.media.images import IMAGE_SUFFIXES, natural_key, read_image, rgb
from siamcorr.media.sources.opencv_capture import plausible
from siamcorr.media.sources.reader_thread import ReaderThread

AHEAD = 4  # frames that the thread reads ahead


class StoredSource:
    """Source whose frames a thread reads ahead; the thread waits while its queue is full."""

    live = False
    dropped = reconnects = 0
    _reader: ReaderThread[Frame] | None = None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of `frames`."""
        frames = self.frames()
        yield from islice(frames, 1)  # a caller that takes one frame starts no thread
        self._reader = reader = ReaderThread(frames, AHEAD, newest=False)
        try:
            yield from reader
        finally:
            reader.close()

    def frames(self) -> Generator[Frame, None, None]:
        """Yield the frames, read without a thread."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()


class ImageFolder(StoredSource):
    """The images of a folder in natural order, at FALLBACK_FPS frames per second."""

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
        """Yield the images, see `read_image`.

        Raises:
            SourceError: a file is not an image.
        """
        for index, path in enumerate(self.files[self.start :], self.start):
            yield Frame(index, index / self.fps, read_image(path))


class VideoFile(StoredSource):
    """A video file read by OpenCV; it may end before `frame_count`."""

    def __init__(self, name: str, capture: cv2.VideoCapture, start: int = 0) -> None:
        self.name, self.start, self._capture = name, start, capture
        self.fps = plausible(capture.get(cv2.CAP_PROP_FPS)) or FALLBACK_FPS
        announced = int(plausible(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.frame_count: int | None = max(0, announced - start) or None

    def frames(self) -> Generator[Frame, None, None]:
        """Yield frames; a frame that cannot be decoded is skipped, its number stays unused."""
        index, grabbed = self.start, True  # open_capture has grabbed the first frame
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
        """Close the file."""
        super().close()
        self._capture.release()
