"""H.264 writer with PyAV: browsers and phones play its videos."""

import errno
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
BEST, WORST = 1, 51  # range of crf; 0 selects a profile that browsers do not play
MAX_DENOMINATOR = 65535  # of a frame rate as a fraction


def can_write_h264() -> bool:
    """Whether PyAV is installed and has the encoder."""
    try:
        import av
    except ModuleNotFoundError:
        return False
    return "libx264" in av.codecs_available


class H264Writer:
    """Writes an H.264 video (yuv420p) that browsers can play while it loads.

    An odd width or height is made even by repeating the last column or row: the format has one
    colour sample for 2 x 2 pixels.

    Args:
        path: of the file; its suffix is one of `CONTAINERS`.
        fps: frames per second.
        size: (width, height) of the frames.
        crf: constant rate factor, from `BEST` to `WORST`.

    Raises:
        OSError: the encoder does not support the size or rate, or the file cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int], crf: int) -> None:
        import av

        self.path = path
        form = CONTAINERS[path.suffix.lower()]
        # Put the index first, else a browser must load the whole file before it plays.
        options = {} if form == "matroska" else {"movflags": "+faststart"}
        self._container: OutputContainer | None = av.open(
            f"file:{path.absolute()}", "w", format=form, options=options
        )
        rate = max(Fraction(fps).limit_denominator(MAX_DENOMINATOR), Fraction(1, MAX_DENOMINATOR))
        settings = {"crf": str(crf), "preset": "veryfast"}
        self._stream: VideoStream = self._container.add_stream("libx264", rate, options=settings)
        context = self._stream.codec_context
        self._right, self._below = (side % 2 for side in size)
        context.width, context.height = size[0] + self._right, size[1] + self._below
        context.pix_fmt = "yuv420p"
        # Written to the file, since players guess from the size: BT.601 matrix, range 16-235.
        context.colorspace, context.color_range = 6, 1
        context.color_primaries = context.color_trc = 1
        try:
            context.open()
        except av.FFmpegError as error:
            self._container = None
            what = f"{size[0]}x{size[1]} at {fps:g} FPS"
            raise OSError(f"{path}: H.264 cannot hold {what}: {error.strerror}") from None
        try:
            self._container.start_encoding()
        except av.FFmpegError as error:
            self._container = None  # no header was written, so nothing may follow
            raise OSError(error.errno or errno.EIO, error.strerror, str(path)) from None
        self._broken = False

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append an RGB frame (H, W, 3).

        Raises:
            OSError: the disk is full, or the file cannot be written.
        """
        from av.video.frame import VideoFrame

        if self._right or self._below:
            edge = cv2.BORDER_REPLICATE
            padded = cv2.copyMakeBorder(image, 0, self._below, 0, self._right, edge)
            image = padded.astype(np.uint8, copy=False)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._mux(frame.reformat(format="yuv420p", dst_colorspace="ITU601"))

    def release(self) -> None:
        """Finish the file; a second call does nothing.

        Raises:
            OSError: the file could not be finished.
        """
        if self._container is None:
            return
        try:
            if not self._broken:
                self._mux(None)
        finally:  # write the index even if the last frames failed
            self._close()

    def _mux(self, frame: "VideoFrame | None") -> None:
        import av

        assert self._container is not None
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except av.FFmpegError as error:
            self._broken = True
            raise OSError(error.errno or errno.EIO, error.strerror, str(self.path)) from None

    def _close(self) -> None:
        import av

        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except av.FFmpegError as error:
            raise OSError(error.errno or errno.EIO, error.strerror, str(self.path)) from None
