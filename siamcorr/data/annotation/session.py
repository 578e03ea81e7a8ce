"""State of an annotation: the stored frames and the marks; no user interface.

NAME/ holds the frames, NAME.marks.csv beside it the marks. When the first and last frame are
marked, the ground truth can be written into NAME/ in the layout of GOT-10k, for
`siamcorr.data.find_sequences`.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from siamcorr.data.annotation.export_sequence import write_together
from siamcorr.data.annotation.keyframes import ABSENT, HEADER, Mark, interpolate, read_marks
from siamcorr.data.datasets.groundtruth_files import Rows


class Annotation:
    """A sequence of stored frames, and its marks.

    Args:
        folder: of the frames, see `store_frames`.

    Raises:
        OSError: the marks cannot be read.
        ValueError: there are no frames, the file is not a table of marks, or a mark is of a frame
            that does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frames = sorted(folder.glob("*.jpg"))
        self.path = folder.with_name(f"{folder.name}.marks.csv")
        self.marks = read_marks(self.path)
        if not self.frames:
            raise ValueError(f"{folder}: holds no frames")
        if self.marks and not 0 <= min(self.marks) <= max(self.marks) < len(self.frames):
            raise ValueError(f"{self.path}: has marks outside the {len(self.frames)} frames")

    def mark(self, frame: int, mark: Mark) -> None:
        """Set the mark of a frame and save all marks.

        Raises:
            OSError: the marks cannot be written; the old file stays.
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
        """Whether the first and the last frame are marked."""
        return {0, len(self.frames) - 1} <= self.marks.keys()

    def finish(self, boxes: Rows | None = None) -> Rows:
        """Write the ground truth, pixels counted from 0, and return its boxes.

        Args:
            boxes: of all frames, (N, 4), NaN where there is none; None interpolates between the
                marks.

        absence.label has 1 in frames without a box. cover.label has 8 (fully visible) in frames
        with a box, since occlusion is not annotated.

        Raises:
            OSError: the files cannot be written; the old files stay.
            ValueError: the annotation is not `complete`.
        """
        if not self.complete:
            raise ValueError(f"{self.folder}: first and last frame must be marked")
        boxes = interpolate(self.marks, len(self.frames)) if boxes is None else boxes
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
