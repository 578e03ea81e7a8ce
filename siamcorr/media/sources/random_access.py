"""Random access to the frames of a file, for example to play it backwards."""

from collections.abc import Callable
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from siamcorr.media.frames import Frame, NoSuchFrameError, SourceError
from siamcorr.media.sources.opening import Source

RUN = 64  # frames decoded and cached at once
MAX_BYTES = 256 << 20  # of the cached frames


class StoredFrames:
    """The frames of a file or folder by number; IndexError after the last one.

    Caches one run of decoded frames, so reading in either direction decodes each frame about once.
    A frame that cannot be decoded is replaced by the one before it.

    Args:
        open_at: opens the source at a frame, given by its number in the source.
        start: the source's frame that is frame 0 here.
        every: step between frames, in frames of the source.
        most: maximum number of frames.

    Raises:
        SourceError: the source cannot be read.

    Example:
        >>> import tempfile
        >>> import cv2, numpy as np
        >>> from siamcorr.media import open_source
        >>> folder = tempfile.TemporaryDirectory()
        >>> for number in range(5):
        ...     _ = cv2.imwrite(f"{folder.name}/{number}.png", np.full((8, 8, 3), number, np.uint8))
        >>> frames = StoredFrames(lambda at: open_source(folder.name, at), every=2)
        >>> [frames[number][0, 0, 0].item() for number in (2, 1, 0)]
        [4, 2, 0]
        >>> folder.cleanup()
    """

    def __init__(
        self,
        open_at: Callable[[int], Source],
        start: int = 0,
        every: int = 1,
        most: int | None = None,
    ) -> None:
        self._open_at, self._start, self._every, self._most = open_at, start, every, most
        self._first, self._run = 0, self._read(0, 1)
        if not self._run:
            raise SourceError(f"no readable frame from frame {start} on")
        self._length = max(1, min(RUN, MAX_BYTES // self._run[0].image.nbytes))

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        """The image of a frame, (H, W, 3) RGB."""
        return self.frame(number).image

    def frame(self, number: int) -> Frame:
        """A frame, with its index and time in the source."""
        if number < 0 or (self._most is not None and number >= self._most):
            raise IndexError(number)
        if not self._first <= number < self._first + len(self._run):
            self._first = number - number % self._length
            self._run = []  # free the memory first
            self._run = self._read(self._first, self._length)
        return self._run[number - self._first]

    def _read(self, first: int, count: int) -> list[Frame]:
        """Read count frames from number first on; fewer at the end of the source."""
        begin = self._start + first * self._every
        try:
            source = self._open_at(begin)
        except NoSuchFrameError:
            if first == 0:
                raise
            return []
        run: list[Frame] = []
        with closing(source):
            for frame in source:
                number = (frame.index - begin) // self._every
                run += (min(number, count) - len(run)) * (run[-1:] or [frame])
                if number >= count:
                    break
                if number == len(run) and (frame.index - begin) % self._every == 0:
                    run.append(frame)
                if len(run) == count:
                    break
        return run
