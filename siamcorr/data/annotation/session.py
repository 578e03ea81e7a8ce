"""Annotating: a person marks the target in some frames, and a sequence comes out.

Nothing here shows or asks. In a folder, NAME/ holds the frames, NAME.marks.csv beside it the
marks as they were made, and once first and last frame are marked, the ground truth is written
into NAME/ as GOT-10k has it, for `siamcorr.data.find_sequences`.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from siamcorr.data.annotation.export_sequence import write_together
from siamcorr.data.annotation.keyframes import ABSENT, HEADER, Mark, interpolated, read_marks
from siamcorr.data.datasets.groundtruth_files import Rows


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

    def finish(self, boxes: Rows | None = None) -> Rows:
        """Write the ground truth, counted from 0 as everything here, and return its boxes.

        Args:
            boxes: of all frames, (N, 4), NaN where there is none; None is a straight line from
                each mark to the next.

        absence.label has 1 where there is no box, cover.label 8, which is all of the target,
        where there is one: nobody is asked how much of it is seen.

        Raises:
            OSError: it cannot be written; what was there before stays.
            ValueError: the marks are not `complete`.
        """
        if not self.complete:
            raise ValueError(f"{self.folder}: first and last frame must be marked")
        boxes = interpolated(self.marks, len(self.frames)) if boxes is None else boxes
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


def _lines(values: Iterable[str]) -> str:
    return "".join(f"{value}\n" for value in values)
