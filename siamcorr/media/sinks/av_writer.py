"""H.264 by PyAV: what browsers, telephones and chats play."""

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
BEST, WORST = 1, 51  # of crf; 0 would be a profile that browsers do not play
FINEST = 65535  # parts of a second, for rates that are no whole number


def can_write_h264() -> bool:
    """Whether PyAV is installed, and has an encoder."""
    try:
        import av
    except ModuleNotFoundError:
        return False
    return "libx264" in av.codecs_available


class H264Writer:
    """An H.264 video (yuv420p) that can be played while it is still being loaded.

    A last column or row is repeated where the width or height is odd: the format has one sample
    of colour for 2 x 2 pixels.

    Args:
        path: of the file; its suffix is one of `CONTAINERS`.
        fps: frames a second.
        size: (width, height) of the frames.
        crf: constant rate factor, from `BEST` to `WORST`.

    Raises:
        OSError: the encoder takes no such video, or the file cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int], crf: int) -> None:
        import av

        self.path = path
        form = CONTAINERS[path.suffix.lower()]
        # The index in front: else a browser must load all before it shows anything.
        options = {} if form == "matroska" else {"movflags": "+faststart"}
        self._container: OutputContainer | None = av.open(
            f"file:{path.absolute()}", "w", format=form, options=options
        )
        rate = max(Fraction(fps).limit_denominator(FINEST), Fraction(1, FINEST))
        settings = {"crf": str(crf), "preset": "veryfast"}
        self._stream: VideoStream = self._container.add_stream("libx264", rate, options=settings)
        context = self._stream.codec_context
        self._right, self._below = (side % 2 for side in size)
        context.width, context.height = size[0] + self._right, size[1] + self._below
        context.pix_fmt = "yuv420p"
        # Said in the file, for players guess by the size of the picture: BT.601's matrix, 16-235.
        context.colorspace, context.color_range = 6, 1
        context.color_primaries = context.color_trc = 1
        try:
            context.open()
        except av.FFmpegError as error:
            self._container = None
            what = f"{size[0]}x{size[1]} at {fps:g} frames a second"
            raise OSError(f"{path}: H.264 cannot hold {what}: {error.strerror}") from None
        try:
            self._container.start_encoding()
        except av.FFmpegError as error:
            self._container = None  # without a header nothing may be written behind it
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
        """Finish the file; again, nothing happens.

        Raises:
            OSError: it could not be finished.
        """
        if self._container is None:
            return
        try:
            if not self._broken:
                self._mux(None)
        finally:  # the index is tried whatever happened to the last frames
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
