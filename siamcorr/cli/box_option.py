"""The option `--box X,Y,W,H[@FRAME[:NAME]]`: a target's box, its frame and its name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from siamcorr.tracking import Box

# Names are written to tables, so they contain neither quotes nor column separators.
WHERE = re.compile(r"(?P<frame>[0-9]{1,9})(:(?P<name>[\w.+#-]([\w .+#-]*[\w.+#-])?))?")


@dataclass(frozen=True)
class Mark:
    """A box from the command line.

    box_xywh: in pixels of the source.
    frame: frame of the source, counted from 0; None is the first tracked frame.
    name: name of the target. Marks with the same name belong to one target; a mark without a
        name is a target of its own.
    """

    box_xywh: Box
    frame: int | None = None
    name: str | None = None


def parse_mark(text: str) -> Mark:
    """Parse the value of --box.

    Raises:
        ValueError: the value has another form.

    Example:
        >>> parse_mark("10,20,30,40@100:ball")
        Mark(box_xywh=(10.0, 20.0, 30.0, 40.0), frame=100, name='ball')
    """
    numbers, at, where = text.partition("@")
    form = "X,Y,W,H@FRAME or X,Y,W,H@FRAME:NAME" if at else "X,Y,W,H in pixels"
    try:
        x, y, w, h = (float(part) for part in numbers.split(","))
    except ValueError:
        raise ValueError(f"--box must be {form}, got {text}") from None
    if not at:
        return Mark((x, y, w, h))
    found = WHERE.fullmatch(where)
    if not found:
        raise ValueError(f"--box must be {form}, got {text}")
    return Mark((x, y, w, h), int(found["frame"]), found["name"])


def group_marks(
    marks: Sequence[Mark], start: int, every: int
) -> tuple[dict[int, dict[int, Box]], dict[int, str]]:
    """Return the boxes by target and tracked frame, and the targets' names.

    Args:
        marks: in the order of the command line; targets are numbered in this order.
        start: first tracked frame of the source.
        every: every N-th frame of the source is tracked.

    Raises:
        ValueError: a marked frame is not tracked, or one target has two boxes in one frame.
    """
    boxes: dict[int, dict[int, Box]] = {}
    numbers: dict[str, int] = {}
    for mark in marks:
        frame = start if mark.frame is None else mark.frame
        number, left = divmod(frame - start, every)
        if left or number < 0:
            raise ValueError(
                f"--box in frame {frame}: not tracked with --start {start} --every {every}"
            )
        target = len(boxes) if mark.name is None else numbers.setdefault(mark.name, len(boxes))
        known = boxes.setdefault(target, {})
        if number in known:
            raise ValueError(f"--box: two boxes of {mark.name} in frame {frame}")
        known[number] = mark.box_xywh
    return boxes, {number: name for name, number in numbers.items()}
