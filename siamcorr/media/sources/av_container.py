"""PyAV video container: open, read packet times, decode in display order, seek exactly."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import finalize

from siamcorr.media.frames import NoSuchFrameError, SourceError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Frames: TypeAlias = Iterator["VideoFrame | None"]

MAX_PIXELS = 1 << 28  # of a frame; larger sizes in a header are taken for an error
NEAR = 32  # up to this start frame, decoding is faster than seeking
VERIFIED = 8  # frames in a row that must have the packets' times before a seek is accepted


class Container:
    """The video stream of a file.

    Args:
        path: of the file; any name works, since Python opens it.
        name: shown in errors.

    Raises:
        OSError: the file cannot be opened.
        SourceError: the file is not a video, or PyAV has no decoder for it.
    """

    def __init__(self, path: Path, name: str) -> None:
        import av

        self.path, self.name = path, name
        self.origin = 0  # time of the first frame, in the stream's time base
        self._file = path.open("rb")  # FFmpeg reads some names as protocols, and only UTF-8
        finalize(self, self._file.close)
        try:
            # Security: a playlist must not open other files.
            options = {"protocol_whitelist": "pipe"}
            self.container: InputContainer = av.open(
                self._file, "r", options=options, **_lenient(av.__version__)
            )
        except (av.FFmpegError, ValueError):
            self._file.close()
            raise SourceError(f"{name}: not a video") from None
        try:
            self.stream = _video_stream(self.container, name)
        except SourceError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.container.close()
        self._file.close()

    def packets(self) -> Iterator[Any]:
        """The packets of the stream, up to its end or the first error."""
        import av

        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                return
            if packet is None or packet.size == 0:  # an empty packet would flush the decoder
                return
            yield packet

    def decode(self) -> Frames:
        """The frames from the current position; None for a frame that cannot be decoded."""
        import av

        for packet in chain(self.packets(), [None]):
            try:
                yield from self.stream.codec_context.decode(packet)
            except av.FFmpegError:
                yield None

    def seek(self, place: int) -> Frames:
        """The frames from the last key frame at or before a time, in the stream's time base."""
        self.container.seek(place, stream=self.stream, backward=True)
        return self.decode()


def _lenient(version: str) -> dict[str, Any]:
    """The option that lets PyAV read titles that are not UTF-8; version 19 always reads them."""
    return {"metadata_errors": "replace"} if int(version.split(".")[0]) < 19 else {}


def _video_stream(container: "InputContainer", name: str) -> "VideoStream":
    """The first video stream that is not the cover picture of a song."""
    videos = [s for s in container.streams.video if not _is_cover(s)]
    if not videos:
        kinds = ", ".join(sorted({stream.type or "data" for stream in container.streams}))
        raise SourceError(f"{name}: not a video{kinds and f', it holds {kinds} only'}")
    stream = videos[0]
    context: Any = stream.codec_context
    if context is None:
        raise SourceError(f"{name}: its codec has no decoder in this PyAV")
    context.options = {"max_pixels": str(MAX_PIXELS)}
    stream.thread_type = "AUTO"
    return stream


def _is_cover(stream: "VideoStream") -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def packet_times(path: Path, name: str) -> list[int | None]:
    """Presentation times of a file's packets, in its stream's time base; decodes nothing."""
    container = Container(path, name)
    try:
        return [packet.pts for packet in container.packets() if not packet.is_discard]
    finally:
        container.close()


def frames_from(path: Path, name: str, start: int) -> tuple[Container, Frames]:
    """A file's frames from number `start` on, the same as when decoded from the first one.

    A start after `NEAR` is found by seeking to its packet's time. The seek is accepted only if the
    decoded frames have the packets' times. Interlaced video and files that were cut fail this
    check; then all frames are decoded from the first.

    Raises:
        SourceError: not a video, or no such frame.
    """
    container = Container(path, name)
    try:
        if start > NEAR and (found := _seek_to(container, start)) is not None:
            return container, found
        if start > NEAR:
            container.close()
            container = Container(path, name)
        frames = container.decode()
        first = list(islice(frames, 1))
        container.origin = next((frame.pts or 0 for frame in first if frame), 0)
        frames = chain(first, frames)
        if sum(1 for _ in islice(frames, start)) < start:
            raise NoSuchFrameError(f"{name}: has no frame {start}")
    except SourceError:
        container.close()
        raise
    return container, frames


def _seek_to(container: Container, start: int) -> Frames | None:
    """Frames from number `start` on by a seek; None if the seek cannot be verified."""
    from av.video.frame import PictureType

    known = packet_times(container.path, container.name)
    times = sorted(time for time in known if time is not None)
    if len(times) < len(known) or len(set(times)) < len(times) or len(times) <= start:
        return None
    first = next(container.decode(), None)
    if first is None or first.pts != times[0] or first.interlaced_frame:
        return None
    container.origin = times[0]
    frames, place = container.seek(times[start - VERIFIED]), None
    for frame in frames:
        if frame is None or frame.pts is None or frame.is_corrupt or frame.interlaced_frame:
            return None
        if place is None:
            if not frame.key_frame or frame.pict_type != PictureType.I:
                continue  # it depends on frames before the key frame
            if frame.pts > times[start - VERIFIED] or frame.pts not in times:
                return None
            place = times.index(frame.pts)
        if frame.pts != times[place]:
            return None
        if place == start:
            return chain([frame], frames)
        place += 1
    return None
