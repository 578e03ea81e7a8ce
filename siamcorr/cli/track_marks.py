"""`siamcorr track` with marks in any frames: first track both ways, then write."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from siamcorr.cli.box_option import Mark, group_marks
from siamcorr.cli.frame_selection import FrameSelection, select_frames, shrink_frame
from siamcorr.cli.interrupts import StopRequest
from siamcorr.cli.outputs import Outputs, open_outputs
from siamcorr.media import Frame, SourceError, StoredFrames, open_source
from siamcorr.models import Network
from siamcorr.tracking import TrackResult, check_box, follow_marks
from siamcorr.tracking.boxes import Image


@dataclass(frozen=True)
class _ShrunkFrames:
    """Stored frames, shrunk for tracking."""

    frames: StoredFrames
    shrink: float

    def __getitem__(self, number: int) -> Image:
        return self.frame(number).image

    def frame(self, number: int) -> Frame:
        return shrink_frame(self.frames.frame(number), self.shrink)


def follow_marked(
    args: argparse.Namespace, marks: list[Mark], network: Network, recover: bool, stop: StopRequest
) -> tuple[FrameSelection, Outputs, int]:
    """Track the marked targets both ways, then write the results frame by frame.

    Args:
        args: arguments of the command.
        marks: at least one; some are not in the first frame.
        network: network of the tracker.
        recover: search for lost targets.
        stop: a request during writing keeps the frames written so far.

    Returns:
        The frames, the outputs, and the number of written frames.

    Raises:
        ValueError: the source is live, --show is set, or a marked frame does not exist.
        KeyboardInterrupt: a stop was requested before the writing began.
    """
    if args.show:
        raise ValueError("--show: not available with --box X,Y,W,H@FRAME")
    if args.source == "-" or not Path(args.source).exists():
        raise ValueError("--box with @FRAME: for video files and folders of images only")
    boxes, names = group_marks(marks, args.start, args.every)
    with closing(open_source(args.source, args.start)) as source:
        limits = {"every": args.every, "limit": args.max_frames, "max_side": args.resize}
        selection = select_frames(source, stop, **limits, speed=args.speed)
    opened = partial(open_source, args.source)
    stored = StoredFrames(opened, args.start, args.every, args.max_frames)
    frames = _ShrunkFrames(stored, selection.shrink)
    small = {
        target: {at: [value * selection.shrink for value in box] for at, box in known.items()}
        for target, known in boxes.items()
    }
    for target, known in small.items():
        for at, box in known.items():
            _check(names.get(target, target), at, box, frames, args)
    with ExitStack() as stack:
        plain = args.speed == 1 and Path(args.source).is_file()
        audio = (args.source, selection.first.time) if plain else None
        outputs = open_outputs(
            stack, args.output, args.boxes, selection.fps, selection.size, audio, args.crf
        )
        outputs = replace(outputs, shrink=selection.shrink, names=names)
        found = _follow(network, frames, small, recover, selection, stop)
        count = _write(outputs, frames, found, stop)
    return selection, outputs, count


def _check(
    name: str | int,
    number: int,
    box: Sequence[float],
    frames: _ShrunkFrames,
    args: argparse.Namespace,
) -> None:
    """Check a mark before the tracking begins."""
    where = f"{args.source}: --box of {name} in frame {args.start + number * args.every}"
    try:
        check_box(box, frames[number].shape[:2])
    except IndexError:
        raise ValueError(f"{where}: there is no such frame") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _follow(
    network: Network,
    frames: _ShrunkFrames,
    boxes: dict[int, dict[int, list[float]]],
    recover: bool,
    selection: FrameSelection,
    stop: StopRequest,
) -> dict[int, list[TrackResult]]:
    """Track both ways, with one progress bar."""
    name = selection.source.name
    first = min(min(known) for known in boxes.values())
    last = max(max(known) for known in boxes.values())
    total = None if selection.total is None else max(0, selection.total - first) + last + 1
    with tqdm(total=total, unit=" frames", desc=Path(name).name) as bar:

        def seen(_: int) -> None:
            bar.update()
            if stop.requested:
                raise KeyboardInterrupt

        try:
            return follow_marks(network, frames, boxes, recover=recover, seen=seen)
        except ValueError as error:
            raise SourceError(f"{name}: {error}") from None


def _write(
    outputs: Outputs, frames: _ShrunkFrames, found: dict[int, list[TrackResult]], stop: StopRequest
) -> int:
    count = len(next(iter(found.values())))
    for number in range(count):
        results = {target: rows[number] for target, rows in found.items()}
        outputs.write_results(frames.frame(number), results)
        if stop.requested:
            print(f"siamcorr: stopped after {number + 1} of {count} frames", file=sys.stderr)
            return number + 1
    return count
