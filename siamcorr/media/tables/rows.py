"""Row of a table of boxes, and the base class of table sinks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Self

from siamcorr.media.append_file import AppendFile
from siamcorr.media.sinks.video_sink import Sink


@dataclass(frozen=True)
class Row:
    """One target in one frame.

    Boxes are rounded to 3 decimals, time and score to 4, in every format.
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
        """The target's name, or else its number."""
        return self.name or self.target

    @classmethod
    def from_values(
        cls,
        frame: int,
        time: float,
        box_xywh: Sequence[float],
        score: float,
        target: int,
        lost: bool,
        name: str = "",
    ) -> Self:
        """Check the values and convert numpy's to plain Python numbers.

        Raises:
            ValueError: frame or target is below 0, the box has not 4 values, or a value is not
                finite.
            TypeError: frame or target is not a whole number.
        """
        frame, target = index(frame), index(target)
        if frame < 0 or target < 0:
            raise ValueError(f"frame and target count from 0, got {frame} and {target}")
        box = tuple(round(float(value), 3) for value in box_xywh)
        if len(box) != 4 or not all(map(math.isfinite, (time, *box, score))):
            got = f"time {time}, box {box}, score {score}"
            raise ValueError(
                f"frame {frame}: values must be finite, the box must have 4, got {got}"
            )
        return cls(
            frame, round(float(time), 4), box, round(float(score), 4), target, bool(lost), name
        )


class TableSink(Sink):
    """Write one row per frame and target; a row is in the file when `write` returns.

    Raises:
        OSError: the file cannot be written, or the disk is full. Earlier rows stay.
    """

    HEAD = ""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = AppendFile(self.path.open("wb", buffering=0), self.path)
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
            frame: number of the frame in the source, from 0.
            time: of the frame, in seconds.
            box_xywh: left, top, width and height, in pixels.
            score: of the box, 0 to 1.
            target: number of the target, from 0.
            lost: whether the target is lost; the box is then a guess.
            name: of the target; replaces its number if the format allows text.
        """
        self._put(Row.from_values(frame, time, box_xywh, score, target, lost, name))

    def _put(self, row: Row) -> None:
        self._file.append(self._text(row).encode())

    def _text(self, row: Row) -> str:
        """The row as text of the format."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        self._file.close()
