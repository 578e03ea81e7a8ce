"""A video file as a source, read by PyAV: every codec, true times, exact starts."""

from collections.abc import Generator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from siamcorr.media.frames import FALLBACK_FPS, Frame, NoSuchFrameError, SourceError
from siamcorr.media.sources.av_container import frames_from, packet_times
from siamcorr.media.sources.files import StoredSource

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

COUNTED = 1 << 29  # bytes of a file whose packets are counted where its header has no number


class DecodedVideo(StoredSource):
    """A video file; it may end early, see `frame_count`.

    Frames are turned as the file's rotation says. Of deep colours the upper 8 bits are kept, of
    transparent ones the colour. The two fields of an interlaced picture are one frame.

    Args:
        name: what errors call it.
        path: of the file.
        start: frames to leave out at the beginning.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
        SourceError: no video, none that can be decoded, or without such a frame.
    """

    def __init__(self, name: str, path: Path, start: int = 0) -> None:
        from av.video.reformatter import VideoReformatter

        self.name, self.start, self._path = name, start, path
        self._reformatter = VideoReformatter()
        self._container, decoded = frames_from(path, name, start)
        numbered = ((number, frame) for number, frame in enumerate(decoded, start) if frame)
        stream = self._container.stream
        self.fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
        first = next(numbered, None)
        if first is None:
            self._container.close()
            codec = stream.codec_context.name
            if start:
                raise NoSuchFrameError(f"{name}: has no frame {start}")
            raise SourceError(f"{name}: {codec}: no frame can be decoded")
        self._numbered = chain([first], numbered)
        announced = stream.frames or self._counted(stream)
        self.frame_count: int | None = max(0, announced - start) or None

    def frames(self) -> Generator[Frame, None, None]:
        """Read on; a frame that cannot be decoded is left out and keeps its number."""
        for index, decoded in self._numbered:
            yield Frame(index, self._time(decoded, index), self._picture(decoded))

    def _counted(self, stream: "VideoStream") -> int:
        """Frames of a file that does not say how many it has; of a huge one about so many."""
        if self._path.stat().st_size <= COUNTED:
            return len(packet_times(self._path, self.name))
        seconds = (self._container.container.duration or 0) / 1e6
        return round(seconds * self.fps)

    def _time(self, decoded: "VideoFrame", index: int) -> float:
        base = self._container.stream.time_base  # the last frames do not say theirs
        if decoded.pts is None or base is None:
            return index / self.fps
        return float((decoded.pts - self._container.origin) * base)

    def _picture(self, decoded: "VideoFrame") -> NDArray[np.uint8]:
        """The frame as (H, W, 3) RGB, upright."""
        image = self._reformatter.reformat(decoded, format="rgb24").to_ndarray()
        turns = round(decoded.rotation / 90) % 4  # to the left, as numpy turns
        upright = np.ascontiguousarray(np.rot90(image, turns)) if turns else image
        return upright.astype(np.uint8, copy=False)

    def close(self) -> None:
        """Let the file go."""
        super().close()
        self._container.close()
