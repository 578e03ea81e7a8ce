"""Formats of tables of boxes; the suffix of a path chooses one."""

import json
from pathlib import Path

from siamcorr.media.tables.coco import CocoSink
from siamcorr.media.tables.rows import Row, TableSink


class CsvSink(TableSink):
    """CSV table with a header; lost is 0 or 1."""

    COLUMNS = ("frame", "time", "x", "y", "w", "h", "score", "target", "lost")
    HEAD = ",".join(COLUMNS) + "\r\n"

    def _text(self, row: Row) -> str:
        box = ",".join(f"{value:.3f}" for value in row.box_xywh)
        return f"{row.frame},{row.time:.4f},{box},{row.score:.4f},{row.label},{int(row.lost)}\r\n"


class JsonLinesSink(TableSink):
    """One JSON object per line: frame, time, target, box, score, lost."""

    def _text(self, row: Row) -> str:
        values = {
            "frame": row.frame,
            "time": row.time,
            "target": row.label,
            "box": row.box_xywh,
            "score": row.score,
            "lost": row.lost,
        }
        return json.dumps(values) + "\n"


class MotSink(TableSink):
    """The text format of the MOT challenge; frames, targets and pixels count from 1.

    A row is frame, id, left, top, width, height, score, -1, -1, -1. A row means that the target is
    visible, so a lost target has no rows.
    """

    def _text(self, row: Row) -> str:
        if row.lost:
            return ""
        x, y, w, h = row.box_xywh
        box = f"{x + 1:.3f},{y + 1:.3f},{w:.3f},{h:.3f}"
        return f"{row.frame + 1},{row.target + 1},{box},{row.score:.4f},-1,-1,-1\n"


LINE_TABLES: dict[str, type[TableSink]] = {
    ".csv": CsvSink,
    ".jsonl": JsonLinesSink,
    ".txt": MotSink,
}


def open_table(path: str | Path, frame_size: tuple[int, int] | None = None) -> TableSink:
    """Open a table; an existing file is overwritten.

    Args:
        path: .csv, .jsonl (JSON lines), .txt (MOT challenge) or .json (COCO).
        frame_size: (width, height) in pixels; only COCO needs it.

    Raises:
        ValueError: unknown suffix, or COCO without a frame size.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name, "boxes.csv")
        >>> with open_table(path) as table:
        ...     table.write(0, 0.0, (10, 20, 30, 40), score=1.0)
        >>> print(path.read_text())
        frame,time,x,y,w,h,score,target,lost
        0,0.0000,10.000,20.000,30.000,40.000,1.0000,0,0
        <BLANKLINE>
        >>> folder.cleanup()
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        if frame_size is None:
            raise ValueError(f"{path}: a COCO table needs frame_size=(width, height), got none")
        return CocoSink(path, frame_size)
    if suffix not in LINE_TABLES:
        known = ", ".join((*LINE_TABLES, ".json"))
        raise ValueError(f"{path}: unknown table suffix, known are {known}")
    return LINE_TABLES[suffix](path)
