"""The frames of a source that are tracked: every n-th, shrunk, from the first to the last."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np

from siamcorr.cli.interrupts import StopRequest
from siamcorr.media import Frame, Source, SourceError


@dataclass(frozen=True)
class Reel:
    """A source as the options of `siamcorr track` want it.

    source: where it comes from.
    first: its first frame, shrunk; rest: those behind it, likewise.
    size: (width, height) of the source's own frames, in pixels.
    shrink: frame pixels to a pixel of the source.
    fps: frames a second to show and to write.
    total: frames that were announced; None if nobody knows.
    """

    source: Source
    first: Frame
    rest: Iterator[Frame]
    size: tuple[int, int]
    shrink: float
    fps: float
    total: int | None


def cut_reel(
    source: Source,
    stop: StopRequest,
    *,
    every: int = 1,
    most: int | None = None,
    longest: int | None = None,
    speed: float = 1.0,
) -> Reel:
    """Read a source's first frame, and get the others ready.

    Args:
        source: open.
        stop: ends the frames when it is asked for.
        every: frames from one that is tracked to the next.
        most: frames in all.
        longest: pixels of the longer side, at most.
        speed: times as fast as it was taken.

    Raises:
        SourceError: it has no frame.
        ValueError: a speed for a live source.
    """
    if source.live and speed != 1:
        raise ValueError("--speed is for files: what is live has a speed of its own")
    frames = islice(source, 0, None, every)
    first = next(frames, None)
    if first is None:
        raise SourceError(f"{source.name}: holds no readable frame")
    height, width = first.image.shape[:2]
    shrink = min(1.0, longest / max(height, width)) if longest else 1.0
    rest = islice(stop.waited_for(frames), most and most - 1)
    announced = source.frame_count and -(-source.frame_count // every)
    return Reel(
        source,
        shrunk(first, shrink),
        (shrunk(frame, shrink) for frame in rest),
        (width, height),
        shrink,
        source.fps / every * speed,
        min(filter(None, (announced, most)), default=None),
    )


def shrunk(frame: Frame, factor: float) -> Frame:
    """A frame whose sides are a factor of what they were, at most 1."""
    if factor == 1:
        return frame
    size = [max(1, round(side * factor)) for side in frame.image.shape[1::-1]]
    small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    return replace(frame, image=small.astype(np.uint8, copy=False))
