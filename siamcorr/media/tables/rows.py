"""What all tables of boxes share: a row whose values are checked, and a sink for such rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Self

from siamcorr.media.append_file import GrowingFile
from siamcorr.media.sinks.video_sink import Sink


@dataclass(frozen=True)
class Row:
    """A target in a frame.

    Boxes have 3 decimals, time and score 4, in every format.
    """

    frame: int
    time: float
    box_xywh: tuple[float, float, float, float]
    score: float
    target: int
    lost: bool
    name: str = ""

    @property
    def label(self) -> str | int:
        """What the target is called: its name, or else its number."""
        return self.name or self.target

    @classmethod
    def checked(
        cls,
        frame: int,
        time: float,
        box_xywh: Sequence[float],
        score: float,
        target: int,
        lost: bool,
        name: str = "",
    ) -> Self:
        """A row of plain Python numbers; those of numpy are made so.

        Raises:
            ValueError: a frame or target below 0, no four values, or one that is not finite.
            TypeError: frame or target is not a whole number.
        """
        frame, target = index(frame), index(target)
        if frame < 0 or target < 0:
            raise ValueError(f"frame and target count from 0, got {frame} and {target}")
        box = tuple(round(float(value), 3) for value in box_xywh)
        if len(box) != 4 or not all(map(math.isfinite, (time, *box, score))):
            got = f"time {time}, box {box}, score {score}"
            raise ValueError(f"frame {frame}: a row holds finite numbers, four of a box, got {got}")
        return cls(
            frame, round(float(time), 4), box, round(float(score), 4), target, bool(lost), name
        )


class TableSink(Sink):
    """Write a row a frame and target; each is in the file once `write` returns.

    Raises:
        OSError: the file cannot be written, or the disk is full. Rows that were written stay.
    """

    HEAD = ""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = GrowingFile(self.path.open("wb", buffering=0), self.path)
        try:
            self._file.append(self.HEAD.encode())
        except OSError:
            self._file.close()
            raise

    def write(
        self,
        frame: int,
        time: float,
        box_xywh: Sequence[float],
        score: float,
        target: int = 0,
        lost: bool = False,
        name: str = "",
    ) -> None:
        """Append a row.

        Args:
            frame: from 0, at the source's beginning.
            time: of the frame, in seconds.
            box_xywh: left, top, width and height, in pixels.
            score: of the box, 0 to 1.
            target: its number, from 0.
            lost: whether the target is out of sight; the box is then a guess.
            name: of the target, in place of its number where the format takes words.
        """
        self._put(Row.checked(frame, time, box_xywh, score, target, lost, name))

    def _put(self, row: Row) -> None:
        self._file.append(self._text(row).encode())

    def _text(self, row: Row) -> str:
        """A row in the words of the format."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        self._file.close()
