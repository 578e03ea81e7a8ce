"""Read annotation files: one region per line, a table of boxes, or a list of numbers.

Numbers are not changed. Some datasets (OTB, GOT-10k, UAV123, VOT until 2017) count pixels from 1,
but the public toolkits score these numbers as they are, so we must do the same to be comparable.
Boxes drawn by hand are uncertain by half a pixel anyway.
"""

import math
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamcorr.tracking import Box, box_around

LAST_FRAME = 10_000_000  # a table with a later frame is refused

Rows = NDArray[np.float64]
Region = tuple[Box, tuple[float, ...]]

NOWHERE: Box = (math.nan, math.nan, math.nan, math.nan)
NO_CORNERS = (math.nan,) * 8


def read_truth(path: Path) -> tuple[Rows, Rows | None]:
    """Read the boxes of an annotation file in any of the published formats.

    Each line is a region, see `parse_region`. Or the first line is a header with x, y, w, h and
    optionally frame (from 0), and the other lines are rows of a table. Blank lines are skipped.

    Returns:
        Boxes (R, 4) as x, y, w, h in pixels, NaN where there is no target, and the corners
        (R, 8) as x1, y1, ..., x4, y4 if any line has corners.

    Raises:
        ValueError: a line is neither.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    filled = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if filled and "x" in _split(filled[0][1].lower()):
        return _read_table(path.name, filled), None
    boxes, corners = [], []
    for number, line in filled:
        try:
            box, polygon = parse_region(line)
        except (ValueError, OverflowError):
            text = f"{path.name}: line {number} is not a region: {line[:40]!r}"
            raise ValueError(text) from None
        boxes.append(box)
        corners.append(polygon)
    polygons = np.array(corners).reshape(-1, 8)
    return np.array(boxes).reshape(-1, 4), None if np.isnan(polygons).all() else polygons


def parse_region(line: str) -> Region:
    """Parse a line into a box and, if the line has them, corners.

    The line has x, y, w, h; or four corners x1, y1, ..., x4, y4; or VOT's mask, see `mask_box`;
    or a single number, which is VOT's code for no region. Separators are commas, semicolons, tabs
    or spaces. A box that is not finite or has no area means that there is no target.

    Raises:
        ValueError: the line is none of these.

    Example:
        >>> parse_region("3,1,9,2,7,8,1,7")[0]
        (1.0, 1.0, 8.0, 7.0)
    """
    if line.startswith("m"):
        return mask_box(line[1:]), NO_CORNERS
    values = tuple(float(part) for part in _split(line))
    if len(values) not in (1, 4, 8):
        raise ValueError(f"a region has 1, 4 or 8 numbers, got {len(values)}")
    if len(values) == 1 or not all(math.isfinite(value) for value in values):
        return NOWHERE, NO_CORNERS
    x, y, w, h = box_around(values) if len(values) == 8 else values
    if w <= 0 or h <= 0:
        return NOWHERE, NO_CORNERS
    return (x, y, w, h), values if len(values) == 8 else NO_CORNERS


def mask_box(text: str) -> Box:
    """The box around a mask in VOT's run-length code.

    Args:
        text: x0, y0, w, h of a window in the frame, then run lengths of its pixels, row by row:
            outside the target, inside, outside, ... The remaining pixels are outside.

    Returns:
        The box of the pixels inside, NaN if there are none.

    Raises:
        ValueError: not integers, or more pixels than the window has.

    Example:
        >>> mask_box("10,20,4,3,5,2,2,1")  # .... / .xx. / .x..
        (11.0, 21.0, 2.0, 2.0)
    """
    left, top, width, height, *counts = (int(part) for part in text.split(","))
    if min(width, height, *counts) < 0 or sum(counts) > width * height:
        raise ValueError(f"the runs do not fit into the mask of {width}x{height} pixels")
    ends = np.cumsum(counts, dtype=np.int64)  # no decoding: the mask may not fit into memory
    last = ends[1::2] - 1
    first = ends[0::2][: len(last)]
    first, last = first[first <= last], last[first <= last]
    if not len(first):
        return NOWHERE
    (tops, lefts), (bottoms, rights) = divmod(first, width), divmod(last, width)
    if (tops < bottoms).any():  # a run over two rows touches both sides
        x, w = 0, width
    else:
        x, w = lefts.min(), rights.max() + 1 - lefts.min()
    y, h = tops.min(), bottoms.max() + 1 - tops.min()
    return float(left + x), float(top + y), float(w), float(h)


def read_numbers(path: Path) -> tuple[float, ...]:
    """Read a file of numbers, on one line or one per line: a flag or level per frame.

    Raises:
        ValueError: the file has anything else.
    """
    try:
        return tuple(float(part) for part in _split(path.read_text(encoding="utf-8-sig")))
    except ValueError:
        raise ValueError(f"{path.name}: not a list of numbers") from None


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"[,;\s]+", text) if part]


def _read_table(name: str, lines: list[tuple[int, str]]) -> Rows:
    header, *rows = lines
    delimiter = next((mark for mark in ",;\t" if mark in header[1]), None)  # None: any spaces
    columns = [column.strip().lower() for column in header[1].split(delimiter)]
    if not {"x", "y", "w", "h"} <= set(columns):
        raise ValueError(
            f"{name}: columns must be x, y, w, h and optionally frame, got {header[1]!r}"
        )
    boxes: dict[int, Box] = {}
    for number, line in rows:
        try:
            row = dict(zip(columns, line.split(delimiter), strict=True))
            frame = int(row["frame"]) if "frame" in columns else len(boxes)
            box = parse_region(",".join(row[key].strip() or "nan" for key in "xywh"))[0]
        except ValueError:
            raise ValueError(f"{name}: line {number} is not a row: {line[:40]!r}") from None
        if not 0 <= frame < LAST_FRAME or frame in boxes:
            raise ValueError(f"{name}: line {number}: frame {frame} is out of range or repeated")
        boxes[frame] = box
    table = np.full((max(boxes, default=-1) + 1, 4), math.nan)
    for frame, box in boxes.items():
        table[frame] = box
    return table
