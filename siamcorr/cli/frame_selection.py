"""Select the frames of a source that are tracked: which ones, how large and how fast."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np

from siamcorr.cli.interrupts import StopRequest
from siamcorr.media import Frame, Source, SourceError


@dataclass(frozen=True)
class FrameSelection:
    """The frames of a source that the options of `siamcorr track` select.

    source: the source of the frames.
    first, rest: first frame and all later ones, shrunk.
    size: (width, height) of the source's own frames, in pixels.
    shrink: side of a shrunk frame over that of the source's frame, at most 1.
    fps: frames per second for the window and the video.
    total: expected number of frames; None if it is not known.
    """

    source: Source
    first: Frame
    rest: Iterator[Frame]
    size: tuple[int, int]
    shrink: float
    fps: float
    total: int | None


def select_frames(
    source: Source,
    stop: StopRequest,
    *,
    every: int = 1,
    limit: int | None = None,
    max_side: int | None = None,
    speed: float = 1.0,
) -> FrameSelection:
    """Read a source's first frame, and prepare to read the others.

    Args:
        source: an open source.
        stop: ends the frames when a stop is requested.
        every: select every N-th frame.
        limit: maximum number of frames.
        max_side: maximum length of the longer side, in pixels.
        speed: playback speed; 2 is twice as fast.

    Raises:
        SourceError: the source has no frame.
        ValueError: the source is live, and speed is not 1.
    """
    if source.live and speed != 1:
        raise ValueError("--speed is for files, not for live sources")
    frames = islice(source, 0, None, every)
    first = next(frames, None)
    if first is None:
        raise SourceError(f"{source.name}: has no readable frame")
    height, width = first.image.shape[:2]
    shrink = min(1.0, max_side / max(height, width)) if max_side else 1.0
    rest = islice(stop.until_requested(frames), limit and limit - 1)
    announced = source.frame_count and -(-source.frame_count // every)
    return FrameSelection(
        source,
        shrink_frame(first, shrink),
        (shrink_frame(frame, shrink) for frame in rest),
        (width, height),
        shrink,
        source.fps / every * speed,
        min(filter(None, (announced, limit)), default=None),
    )


def shrink_frame(frame: Frame, factor: float) -> Frame:
    """Return a frame with its sides multiplied by a factor of at most 1."""
    if factor == 1:
        return frame
    size = [max(1, round(side * factor)) for side in frame.image.shape[1::-1]]
    small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    return replace(frame, image=small.astype(np.uint8, copy=False))
