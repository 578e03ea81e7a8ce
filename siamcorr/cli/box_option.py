"""`--box X,Y,W,H[@FRAME[:NAME]]`: what a person marked, in which frame, and of which target."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from siamcorr.tracking import Box

# Names go into tables, so they hold neither quotes nor what parts columns.
WHERE = re.compile(r"(?P<frame>[0-9]{1,9})(:(?P<name>[\w.+#-]([\w .+#-]*[\w.+#-])?))?")


@dataclass(frozen=True)
class Mark:
    """A box that was given.

    box_xywh: in pixels of the source.
    frame: counted from 0 in the source; None is the first one that is tracked.
    name: of the target; marks of one name are of one target. None is a target of its own.
    """

    box_xywh: Box
    frame: int | None = None
    name: str | None = None


def parse_mark(text: str) -> Mark:
    """Read what follows --box.

    Raises:
        ValueError: it is something else.

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


def grouped(
    marks: Sequence[Mark], start: int, every: int
) -> tuple[dict[int, dict[int, Box]], dict[int, str]]:
    """The boxes of each target by the frames that are tracked, and the targets' names.

    Args:
        marks: in the order that they were given in, which numbers the targets.
        start: the source's frame that is tracked first.
        every: frames of the source from one that is tracked to the next.

    Raises:
        ValueError: a mark in a frame that is not tracked, or two of one target in one frame.
    """
    boxes: dict[int, dict[int, Box]] = {}
    numbers: dict[str, int] = {}
    for mark in marks:
        frame = start if mark.frame is None else mark.frame
        number, left = divmod(frame - start, every)
        if left or number < 0:
            raise ValueError(
                f"--box in frame {frame}: is not tracked, with --start {start} --every {every}"
            )
        target = len(boxes) if mark.name is None else numbers.setdefault(mark.name, len(boxes))
        known = boxes.setdefault(target, {})
        if number in known:
            raise ValueError(f"--box: two of {mark.name} in frame {frame}")
        known[number] = mark.box_xywh
    return boxes, {number: name for name, number in numbers.items()}
