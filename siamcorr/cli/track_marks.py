"""`siamcorr track` with marks in any frames: follow both ways first, then write."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from siamcorr.cli.box_option import Mark, grouped
from siamcorr.cli.frame_selection import Reel, cut_reel, shrunk
from siamcorr.cli.interrupts import StopRequest
from siamcorr.cli.outputs import Outputs, open_outputs
from siamcorr.media import Frame, SourceError, StoredFrames, open_source
from siamcorr.models import Network
from siamcorr.tracking import TrackResult, check_box, follow_marks
from siamcorr.tracking.boxes import Image


@dataclass(frozen=True)
class _Small:
    """Frames as they are tracked: shrunk."""

    frames: StoredFrames
    shrink: float

    def __getitem__(self, number: int) -> Image:
        return self.frame(number).image

    def frame(self, number: int) -> Frame:
        return shrunk(self.frames.frame(number), self.shrink)


def follow_marked(
    args: argparse.Namespace, marks: list[Mark], network: Network, recover: bool, stop: StopRequest
) -> tuple[Reel, Outputs, int]:
    """Follow what was marked, and write what was found, frame by frame.

    Args:
        args: of the command.
        marks: at least one, some of them in other frames than the first.
        network: the tracker's.
        recover: search for lost targets.
        stop: ends the writing; before that there is nothing to keep.

    Returns:
        What was read, where it was written, and how many frames were.

    Raises:
        ValueError: a live source, a window, a mark where no frame is.
        KeyboardInterrupt: it was asked to stop while it followed.
    """
    if args.show:
        raise ValueError("--show: a target that is marked in a later frame is followed unseen")
    if args.source == "-" or not Path(args.source).exists():
        raise ValueError("--box with @FRAME: for video files and folders of images only")
    boxes, names = grouped(marks, args.start, args.every)
    with closing(open_source(args.source, args.start)) as source:
        limits = {"every": args.every, "most": args.max_frames, "longest": args.resize}
        reel = cut_reel(source, stop, **limits, speed=args.speed)
    opened = partial(open_source, args.source)
    stored = StoredFrames(opened, args.start, args.every, args.max_frames)
    frames = _Small(stored, reel.shrink)
    small = {
        target: {at: [value * reel.shrink for value in box] for at, box in known.items()}
        for target, known in boxes.items()
    }
    for target, known in small.items():
        for at, box in known.items():
            _check(names.get(target, target), at, box, frames, args)
    with ExitStack() as stack:
        plain = args.speed == 1 and Path(args.source).is_file()
        audio = (args.source, reel.first.time) if plain else None
        outputs = open_outputs(stack, args.output, args.boxes, reel.fps, reel.size, audio, args.crf)
        outputs = replace(outputs, shrink=reel.shrink, names=names)
        found = _followed(network, frames, small, recover, reel, stop)
        count = _written(outputs, frames, found, stop)
    return reel, outputs, count


def _check(
    name: str | int, number: int, box: Sequence[float], frames: _Small, args: argparse.Namespace
) -> None:
    """Refuse a mark before anything is followed."""
    where = f"{args.source}: --box of {name} in frame {args.start + number * args.every}"
    try:
        check_box(box, frames[number].shape[:2])
    except IndexError:
        raise ValueError(f"{where}: there is no such frame") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _followed(
    network: Network,
    frames: _Small,
    boxes: dict[int, dict[int, list[float]]],
    recover: bool,
    reel: Reel,
    stop: StopRequest,
) -> dict[int, list[TrackResult]]:
    """Both ways, under one bar."""
    name = reel.source.name
    first = min(min(known) for known in boxes.values())
    last = max(max(known) for known in boxes.values())
    total = None if reel.total is None else max(0, reel.total - first) + last + 1
    with tqdm(total=total, unit=" frames", desc=Path(name).name) as bar:

        def seen(_: int) -> None:
            bar.update()
            if stop.asked:
                raise KeyboardInterrupt

        try:
            return follow_marks(network, frames, boxes, recover=recover, seen=seen)
        except ValueError as error:
            raise SourceError(f"{name}: {error}") from None


def _written(
    outputs: Outputs, frames: _Small, found: dict[int, list[TrackResult]], stop: StopRequest
) -> int:
    count = len(next(iter(found.values())))
    for number in range(count):
        results = {target: rows[number] for target, rows in found.items()}
        outputs.write_results(frames.frame(number), results)
        if stop.asked:
            print(f"siamcorr: stopped after {number + 1} of {count} frames", file=sys.stderr)
            return number + 1
    return count
