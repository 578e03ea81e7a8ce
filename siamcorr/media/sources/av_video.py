"""Video file source that decodes with PyAV: many codecs, exact times and start frames."""

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

COUNT_LIMIT = 1 << 29  # bytes; packets of larger files are not counted


class DecodedVideo(StoredSource):
    """A video file; it may end before `frame_count`.

    Frames are rotated as the file's metadata says. Deep colours are cut to their upper 8 bits,
    alpha is ignored. The two fields of an interlaced picture are one frame.

    Args:
        name: shown in errors.
        path: of the file.
        start: number of frames to skip at the beginning.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
        SourceError: not a video, no frame can be decoded, or no frame `start`.
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
        announced = stream.frames or self._count_frames(stream)
        self.frame_count: int | None = max(0, announced - start) or None

    def frames(self) -> Generator[Frame, None, None]:
        """Yield frames; a frame that cannot be decoded is skipped, its number stays unused."""
        for index, decoded in self._numbered:
            yield Frame(index, self._time(decoded, index), self._picture(decoded))

    def _count_frames(self, stream: "VideoStream") -> int:
        """Frames of a file whose header has no count; an estimate if the file is huge."""
        if self._path.stat().st_size <= COUNT_LIMIT:
            return len(packet_times(self._path, self.name))
        seconds = (self._container.container.duration or 0) / 1e6
        return round(seconds * self.fps)

    def _time(self, decoded: "VideoFrame", index: int) -> float:
        base = self._container.stream.time_base  # since the last frames have none
        if decoded.pts is None or base is None:
            return index / self.fps
        return float((decoded.pts - self._container.origin) * base)

    def _picture(self, decoded: "VideoFrame") -> NDArray[np.uint8]:
        """The frame as (H, W, 3) RGB, upright."""
        image = self._reformatter.reformat(decoded, format="rgb24").to_ndarray()
        turns = round(decoded.rotation / 90) % 4  # counterclockwise, as in np.rot90
        upright = np.ascontiguousarray(np.rot90(image, turns)) if turns else image
        return upright.astype(np.uint8, copy=False)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._container.close()
