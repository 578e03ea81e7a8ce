"""Video files by PyAV: opened, counted, decoded in the order of showing, and sought exactly."""

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

MOST_PIXELS = 1 << 28  # of a frame; a header that claims more is not believed
NEAR = 32  # frames that are faster decoded than sought
CHECKED = 8  # frames in a row that must be where the packets say, before a seek is believed


class Container:
    """A file's moving picture.

    Args:
        path: any file, whatever its name is; it is opened by Python.
        name: what errors call it.

    Raises:
        OSError: the file cannot be opened.
        SourceError: no video, or one that no decoder here knows.
    """

    def __init__(self, path: Path, name: str) -> None:
        import av

        self.path, self.name = path, name
        self.origin = 0  # when the first frame is shown, in the stream's time base
        self._file = path.open("rb")  # FFmpeg takes some names for protocols, and only UTF-8
        finalize(self, self._file.close)
        try:
            # A file that names others, as playlists do, opens none of them.
            options = {"protocol_whitelist": "pipe"}
            self.container: InputContainer = av.open(
                self._file, "r", options=options, **_lenient(av.__version__)
            )
        except (av.FFmpegError, ValueError):
            self._file.close()
            raise SourceError(f"{name}: not a video") from None
        try:
            self.stream = _moving_picture(self.container, name)
        except SourceError:
            self.close()
            raise

    def close(self) -> None:
        """Let the file go."""
        self.container.close()
        self._file.close()

    def packets(self) -> Iterator[Any]:
        """What the file holds of the stream, until its end or a place that cannot be read."""
        import av

        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                return
            if packet is None or packet.size == 0:  # the empty one would flush the decoder
                return
            yield packet

    def decode(self) -> Frames:
        """The frames from here on; None in place of one that cannot be decoded."""
        import av

        for packet in chain(self.packets(), [None]):
            try:
                yield from self.stream.codec_context.decode(packet)
            except av.FFmpegError:
                yield None

    def seek(self, place: int) -> Frames:
        """The frames from the last key frame at or before a place, in the stream's time base."""
        self.container.seek(place, stream=self.stream, backward=True)
        return self.decode()


def _lenient(version: str) -> dict[str, Any]:
    """How PyAV is told to take titles that are not UTF-8; from version 19 on it always does."""
    return {"metadata_errors": "replace"} if int(version.split(".")[0]) < 19 else {}


def _moving_picture(container: "InputContainer", name: str) -> "VideoStream":
    """The first stream that is a video and no cover of a song."""
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    if not pictures:
        kinds = ", ".join(sorted({stream.type or "data" for stream in container.streams}))
        raise SourceError(f"{name}: not a video{kinds and f', it holds {kinds} only'}")
    stream = pictures[0]
    context: Any = stream.codec_context
    if context is None:
        raise SourceError(f"{name}: its codec has no decoder in this PyAV")
    context.options = {"max_pixels": str(MOST_PIXELS)}
    stream.thread_type = "AUTO"
    return stream


def _is_cover(stream: "VideoStream") -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def packet_times(path: Path, name: str) -> list[int | None]:
    """When the packets of a file are shown, in its stream's time base; nothing is decoded."""
    container = Container(path, name)
    try:
        return [packet.pts for packet in container.packets() if not packet.is_discard]
    finally:
        container.close()


def frames_from(path: Path, name: str, start: int) -> tuple[Container, Frames]:
    """A file's frames from number `start` on, the same as in a decode from the first one.

    Where that is far in, it is sought by the packets' times. That is believed only where the
    frames then come as the packets say: those of interlaced pictures or of files cut in the
    middle do not, and there all is decoded.

    Raises:
        SourceError: no video, or none with such a frame.
    """
    container = Container(path, name)
    try:
        if start > NEAR and (found := _sought(container, start)) is not None:
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


def _sought(container: Container, start: int) -> Frames | None:
    """Frames from number `start` on by a seek; None if it cannot be trusted."""
    from av.video.frame import PictureType

    known = packet_times(container.path, container.name)
    times = sorted(time for time in known if time is not None)
    if len(times) < len(known) or len(set(times)) < len(times) or len(times) <= start:
        return None
    first = next(container.decode(), None)
    if first is None or first.pts != times[0] or first.interlaced_frame:
        return None
    container.origin = times[0]
    frames, place = container.seek(times[start - CHECKED]), None
    for frame in frames:
        if frame is None or frame.pts is None or frame.is_corrupt or frame.interlaced_frame:
            return None
        if place is None:
            if not frame.key_frame or frame.pict_type != PictureType.I:
                continue  # it leans on frames before the key frame
            if frame.pts > times[start - CHECKED] or frame.pts not in times:
                return None
            place = times.index(frame.pts)
        if frame.pts != times[place]:
            return None
        if place == start:
            return chain([frame], frames)
        place += 1
    return None
