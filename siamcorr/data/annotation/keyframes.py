"""Marks of keyframes, and interpolation between them."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from siamcorr.data.datasets.groundtruth_files import NOWHERE, Rows
from siamcorr.tracking import Box

HEADER = ["frame", "x", "y", "w", "h"]


@dataclass(frozen=True)
class Mark:
    """A person's mark of a frame: the target's box (x, y, w, h) in pixels; None if absent.

    Raises:
        ValueError: the box is not finite, or has no size.
    """

    box_xywh: Box | None = None

    def __post_init__(self) -> None:
        if self.box_xywh is not None:
            finite = all(math.isfinite(value) for value in self.box_xywh)
            if not finite or min(self.box_xywh[2:]) <= 0:
                raise ValueError(f"Mark: box must be finite and have a size, got {self.box_xywh}")


ABSENT = Mark()


def interpolate(marks: Mapping[int, Mark], count: int) -> Rows:
    """The boxes of all frames, (count, 4); NaN where there is none.

    Between two keyframes with boxes, boxes are interpolated linearly. If one of the two has no box,
    the frames between have none.

    Example:
        >>> interpolate({0: Mark((0, 0, 8, 8)), 2: Mark((4, 2, 8, 10)), 3: ABSENT}, 4)[:, 0]
        array([ 0.,  2.,  4., nan])
    """
    boxes = np.full((count, 4), math.nan)
    keyframes = [(frame, marks[frame].box_xywh) for frame in sorted(marks)]
    for frame, box in keyframes:
        boxes[frame] = box or NOWHERE
    for (first, one), (last, other) in pairwise(keyframes):
        if one and other:
            share = np.linspace(0, 1, last - first + 1)[:, None]
            boxes[first : last + 1] = (1 - share) * boxes[first] + share * boxes[last]
    return boxes


def proposed(marks: Mapping[int, Mark], frame: int) -> Mark | None:
    """Mark to show in a frame: its own; between two boxes, interpolated; else the last one."""
    if frame in marks:
        return marks[frame]
    before = max((other for other in marks if other < frame), default=None)
    after = min((other for other in marks if other > frame), default=None)
    if before is None:
        return None
    if after is not None:
        nearest = {before: marks[before], after: marks[after]}
        box = interpolate(nearest, after + 1)[frame]
        x, y, w, h = (round(float(value), 2) for value in box)
        if math.isfinite(x):
            return Mark((x, y, w, h))
    return marks[before]


def clipped(box_xywh: Box, frame_size: tuple[int, int]) -> Box | None:
    """Clip a box to a frame (height, width), to 0.01 pixels; None if it lies outside.

    Example:
        >>> clipped((-5, 10, 20, 100), (60, 80))
        (0.0, 10.0, 15.0, 50.0)
    """
    x, y, w, h = (float(value) for value in box_xywh)
    height, width = frame_size
    left, right = (round(min(max(value, 0.0), width), 2) for value in (x, x + w))
    top, bottom = (round(min(max(value, 0.0), height), 2) for value in (y, y + h))
    w, h = round(right - left, 2), round(bottom - top, 2)
    return (left, top, w, h) if min(w, h) > 0 else None


def shown_frames(count: int, every: int) -> list[int]:
    """The frames to mark: one in `every`, and the last one.

    Example:
        >>> shown_frames(12, 5)
        [0, 5, 10, 11]
    """
    return sorted({*range(0, count, every), count - 1})


def read_marks(path: Path) -> dict[int, Mark]:
    """Read marks from a file, by frame; empty if there is no file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a table of marks.
    """
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    if header != HEADER:
        raise ValueError(f"{path}: first line must be {','.join(HEADER)}, got {','.join(header)!r}")
    marks = {}
    for number, row in enumerate(rows, 2):
        try:
            frame, x, y, w, h = row
            box = (float(x), float(y), float(w), float(h)) if any((x, y, w, h)) else None
            marks[int(frame)] = Mark(box)
        except ValueError:
            raise ValueError(f"{path}: line {number} is not a mark: {','.join(row)!r}") from None
    return marks
