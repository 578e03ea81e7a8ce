"""Annotating: a person marks the target in some frames, and a sequence comes out.

Nothing here shows or asks. In a folder, NAME/ holds the frames, NAME.marks.csv beside it the
marks as they were made, and once first and last frame are marked, the ground truth is written
into NAME/ as GOT-10k has it, for `siamcorr.data.find_sequences`.
"""

import csv
import io
import math
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from siamcorr.data.annotations import NOWHERE, Rows
from siamcorr.media import SourceError, write_image
from siamcorr.tracking import Box
from siamcorr.tracking.boxes import Image

HEADER = ["frame", "x", "y", "w", "h"]
ABOUT = "meta_info.ini"


@dataclass(frozen=True)
class Mark:
    """What a person says of a frame: the target's box (x, y, w, h) in pixels; None if absent.

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


def interpolated(marks: Mapping[int, Mark], count: int) -> Rows:
    """The boxes of all frames, (count, 4); NaN where there is none.

    A frame between two that are marked with boxes has one between them. Nothing is known between
    a box and an absence, so the frames there have none, just as those between two absences.

    Example:
        >>> interpolated({0: Mark((0, 0, 8, 8)), 2: Mark((4, 2, 8, 10)), 3: ABSENT}, 4)[:, 0]
        array([ 0.,  2.,  4., nan])
    """
    boxes = np.full((count, 4), math.nan)
    said = [(frame, marks[frame].box_xywh) for frame in sorted(marks)]
    for frame, box in said:
        boxes[frame] = box or NOWHERE
    for (first, one), (last, other) in pairwise(said):
        if one and other:
            share = np.linspace(0, 1, last - first + 1)[:, None]
            boxes[first : last + 1] = (1 - share) * boxes[first] + share * boxes[last]
    return boxes


def proposed(marks: Mapping[int, Mark], frame: int) -> Mark | None:
    """What to show in a frame: its mark; between two boxes, the one between; else the last mark."""
    if frame in marks:
        return marks[frame]
    before = max((other for other in marks if other < frame), default=None)
    after = min((other for other in marks if other > frame), default=None)
    if before is None:
        return None
    if after is not None:
        nearest = {before: marks[before], after: marks[after]}
        box = interpolated(nearest, after + 1)[frame]
        x, y, w, h = (round(float(value), 2) for value in box)
        if math.isfinite(x):
            return Mark((x, y, w, h))
    return marks[before]


def clipped(box_xywh: Box, frame_size: tuple[int, int]) -> Box | None:
    """The part of a box inside a frame (height, width), to a hundredth of a pixel; None if none.

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
    """The frames to mark: each so many, and the last one.

    Example:
        >>> shown_frames(12, 5)
        [0, 5, 10, 11]
    """
    return sorted({*range(0, count, every), count - 1})


class Annotation:
    """A sequence whose frames are stored, and the marks made in it so far.

    Args:
        folder: of the frames, see `store_frames`.

    Raises:
        OSError: the marks cannot be read.
        ValueError: there are no frames, or the marks are none, or of other frames.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frames = sorted(folder.glob("*.jpg"))
        self.path = folder.with_name(f"{folder.name}.marks.csv")
        self.marks = read_marks(self.path)
        if not self.frames:
            raise ValueError(f"{folder}: holds no frames")
        if self.marks and not 0 <= min(self.marks) <= max(self.marks) < len(self.frames):
            raise ValueError(f"{self.path}: has marks beyond the {len(self.frames)} frames")

    def mark(self, frame: int, mark: Mark) -> None:
        """Say of a frame where the target is; it is on the disk when this returns.

        Raises:
            OSError: it cannot be written; what was there before stays.
            ValueError: there is no such frame, or the target is absent in the first one.
        """
        if not 0 <= frame < len(self.frames):
            raise ValueError(f"{self.folder}: has {len(self.frames)} frames, no frame {frame}")
        if frame == 0 and mark == ABSENT:
            raise ValueError(f"{self.folder}: the target must be in the first frame")
        marks = {**self.marks, frame: mark}
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(HEADER)
        rows.writerows((number, *(marks[number].box_xywh or [""] * 4)) for number in sorted(marks))
        write_together({self.path: text.getvalue()})
        self.marks = marks

    @property
    def complete(self) -> bool:
        """Whether every frame lies between two marks."""
        return {0, len(self.frames) - 1} <= self.marks.keys()

    def finish(self) -> Rows:
        """Write the ground truth, counted from 0 as everything here, and return its boxes.

        absence.label has 1 where there is no box, cover.label 8, which is all of the target,
        where there is one: nobody is asked how much of it is seen.

        Raises:
            OSError: it cannot be written; what was there before stays.
            ValueError: the marks are not `complete`.
        """
        if not self.complete:
            raise ValueError(f"{self.folder}: first and last frame must be marked")
        boxes = interpolated(self.marks, len(self.frames))
        absent = [bool(gone) for gone in np.isnan(boxes[:, 0])]
        truth = [",".join(f"{value:.4f}" for value in box) for box in np.nan_to_num(boxes)]
        write_together(
            {
                self.folder / "absence.label": _lines("1" if gone else "0" for gone in absent),
                self.folder / "cover.label": _lines("0" if gone else "8" for gone in absent),
                self.folder / "groundtruth.txt": _lines(truth),
            }
        )
        return boxes


def read_marks(path: Path) -> dict[int, Mark]:
    """The marks in a file, by frame; none if there is no file.

    Raises:
        OSError: it cannot be read.
        ValueError: something else is in it.
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
            raise ValueError(f"{path}: line {number} is no mark: {','.join(row)!r}") from None
    return marks


def description(source: Path, start: int, limit: int | None) -> str:
    """What frames are of, to know them again: the source, and which part of it."""
    size = f"bytes: {source.stat().st_size}\n" if source.is_file() else ""
    return f"[METAINFO]\nsource: {source.name}\n{size}start: {start}\nframes: {limit or 'all'}\n"


def frames_stored(folder: Path, about: str) -> bool:
    """Whether the frames that `about` describes are there already.

    Raises:
        OSError: the folder cannot be read.
        ValueError: something else is.
    """
    if not folder.exists():
        return False
    there = folder / ABOUT
    if not there.is_file() or there.read_text(encoding="utf-8") != about:
        raise ValueError(f"{folder}: is there already, and holds other frames than these")
    return True


def store_frames(frames: Iterable[Image], folder: Path, about: str) -> None:
    """Write frames as 00000001.jpg and so on into a new folder, which is there once all are.

    Args:
        frames: (H, W, 3) RGB.
        folder: to make; those above it are made, too.
        about: see `description`.

    Raises:
        OSError: they cannot be written; nothing is left behind.
        ValueError: a frame cannot be read, or there is none.
    """
    part = folder.with_name(f".{folder.name}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir()
    try:
        number = 0
        for number, frame in enumerate(frames, 1):
            write_image(part / f"{number:08d}.jpg", frame)
        if not number:
            raise SourceError(f"{folder.name}: no readable frame")
        (part / ABOUT).write_text(about, encoding="utf-8")
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_together(contents: Mapping[Path, str]) -> None:
    """Write files so that a full disk leaves all of them as they were, or absent.

    Raises:
        OSError: one cannot be written.
    """
    parts = {path: path.with_name(f".{path.name}.part") for path in contents}
    try:
        for path, text in contents.items():
            try:
                parts[path].write_text(text, encoding="utf-8")
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None
        for path, part in parts.items():
            part.replace(path)
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()


def _lines(values: Iterable[str]) -> str:
    return "".join(f"{value}\n" for value in values)
