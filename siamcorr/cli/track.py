"""`siamcorr track SOURCE`: track targets in a video, a folder, a camera or a stream."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from siamcorr.adaptors.backends import BACKENDS, load_network
from siamcorr.cli.box_option import Mark, parse_mark
from siamcorr.cli.device import choose_device
from siamcorr.cli.frame_selection import FrameSelection, select_frames
from siamcorr.cli.interrupts import StopRequest
from siamcorr.cli.jobs import follow_jobs
from siamcorr.cli.outputs import open_outputs, refuse_overwriting
from siamcorr.cli.track_marks import follow_marked
from siamcorr.cli.validation import check_counts, check_workers
from siamcorr.media import Frame, SourceError, VideoSink, Window, display_available, open_source
from siamcorr.media.sinks.av_writer import BEST, WORST
from siamcorr.media.sinks.video_sink import CRF
from siamcorr.models import Network
from siamcorr.tracking import MultiTracker, check_box
from siamcorr.viewer import Session, View


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("track", help="track targets in a video, a camera or a stream")
    add = parser.add_argument
    sources = "video file, folder, camera index, stream URL or -"
    add("source", nargs="?", metavar="SOURCE", help=sources)
    add(
        "--jobs",
        metavar="TABLE.csv",
        help="instead of SOURCE and --box: videos and their marks (video,frame,x,y,w,h,name); "
        "--boxes and --output are then folders, and videos with results there are skipped",
    )
    add("--processes", type=int, default=1, metavar="N", help="videos of --jobs in parallel")
    add(
        "--box",
        action="append",
        default=[],
        metavar="X,Y,W,H",
        help="a target in the first frame, in pixels; repeat for more targets. X,Y,W,H@FRAME: in "
        "that frame of a file, tracked both ways; X,Y,W,H@FRAME:NAME: several marks of a target",
    )
    add("--model", metavar="NAME", help="see `siamcorr models` (default: what fits the weights)")
    add("--weights", metavar="FILE", help=".pth or .safetensors (default: the published ones)")
    add("--device", default="auto", metavar="auto|cpu|cuda[:N]")
    backend = os.environ.get("SIAMCORR_BACKEND", "auto")
    backends = "runs the network (default: the faster one)"
    add("--backend", choices=BACKENDS, default=backend, help=backends)
    add("--compile", action="store_true", help="use torch.compile: slow to start, then fast")
    recover = "search the whole frame for a lost target (default: if the model can tell a loss)"
    add("--recover", action=argparse.BooleanOptionalAction, help=recover)
    add("--output", metavar="OUT.mp4", help="write the video with the boxes drawn")
    crf = f"quality of the video, 1..51; lower is better (default: {CRF})"
    add("--crf", type=int, default=CRF, metavar="N", help=crf)
    add("--boxes", metavar="OUT", help="table: .csv, .jsonl, .json (COCO) or .txt (MOT challenge)")
    show = "show a window (default: if there is a display)"
    add("--show", action=argparse.BooleanOptionalAction, help=show)
    add("--max-frames", type=int, metavar="N", help="stop after N frames")
    add("--start", type=int, default=0, metavar="N", help="first frame, counted from 0")
    add("--every", type=int, default=1, metavar="N", help="track every N-th frame only")
    add("--resize", type=int, metavar="PIXELS", help="shrink frames to this longer side")
    add("--speed", type=float, default=1.0, help="speed of window and video (2: double, no sound)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check all input, then open the outputs and track."""
    _check(args)
    if args.jobs is not None:
        folders = {"--boxes": args.boxes, "--output": args.output}
        return follow_jobs(Path(args.jobs), folders, _options(args), args.processes)
    refuse_overwriting(args.source, args.output, args.boxes)
    # Before the source is opened: the first frame of a live source would be old afterwards.
    marks = [parse_mark(text) for text in args.box]
    network = _network(args)
    knows = network.preset.recipe.lost_below > 0
    recover = knows if args.recover is None else args.recover
    if any(mark.frame is not None for mark in marks):
        with StopRequest() as stop:
            selection, outputs, count = follow_marked(args, marks, network, recover, stop)
            _print_notices(outputs.video)
            _report(args, selection, count, stop.requested)
            return 130 if stop.requested else 0
    with closing(open_source(args.source, args.start)) as source, ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        selection = select_frames(
            source,
            stop,
            every=args.every,
            limit=args.max_frames,
            max_side=args.resize,
            speed=args.speed,
        )
        view = _open_view(args, stack, 0 if source.live else 1 / selection.fps, stop)
        session = Session(MultiTracker(network, recover=recover))
        _add_targets(marks, session, selection, view)
        plain = args.speed == 1 and not source.live and Path(args.source).is_file()
        audio = (args.source, selection.first.time) if plain else None
        outputs = open_outputs(
            stack, args.output, args.boxes, selection.fps, selection.size, audio, args.crf
        )
        outputs = replace(outputs, view=view, shrink=selection.shrink, live=source.live)
        if view is None and args.show is None:
            print("siamcorr: no display, tracking without a window", file=sys.stderr)
        count, go_on = 0, True
        for frame in _track_frames(session, selection, response=args.show is not False):
            go_on = outputs.write(frame, session)
            count += 1
            if stop.requested or not go_on:
                break
    _print_notices(outputs.video)
    _report(args, selection, count, stop.requested or not go_on)
    return 130 if stop.requested else 0


def _options(args: argparse.Namespace) -> list[str]:
    """Return the options for each video of a table."""
    words = []
    for name in ("model", "weights", "device", "backend", "crf", "max_frames", "every", "resize"):
        value = getattr(args, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name in ("compile", "recover"):
        value = getattr(args, name)
        if value is not None and (value or name == "recover"):
            words.append(f"--{name}" if value else f"--no-{name}")
    return words


def _check(args: argparse.Namespace) -> None:
    check_counts(args, "max_frames", "every", "resize")
    check_workers(args, "processes")
    if (args.source is None) == (args.jobs is None):
        raise ValueError("give either SOURCE or --jobs TABLE.csv")
    if args.jobs is not None and (args.box or args.show or args.start or args.speed != 1):
        raise ValueError("--jobs: the table has the marks; omit --box, --show, --start and --speed")
    if not 0 < args.speed <= 100:
        raise ValueError(f"--speed must lie in 0..100, got {args.speed}")
    if not BEST <= args.crf <= WORST:
        raise ValueError(f"--crf must lie in {BEST}..{WORST}, got {args.crf}")


def _network(args: argparse.Namespace) -> Network:
    device = None if args.device == "auto" else choose_device(args.device)

    def say(text: str) -> None:
        print(f"siamcorr: {text}", file=sys.stderr)

    return load_network(args.model, args.weights, device, args.backend, args.compile, say)


def _add_targets(
    marks: list[Mark], session: Session, selection: FrameSelection, view: View | None
) -> None:
    """Add the targets of the command line, or let the user draw one."""
    width, height = selection.size
    boxes = [check_box(mark.box_xywh, (height, width)) for mark in marks]
    if not boxes and view is None:
        raise ValueError("no target: give --box X,Y,W,H (there is no window to draw it in)")
    for x, y, w, h in boxes:
        session.add(selection.first, tuple(value * selection.shrink for value in (x, y, w, h)))
    # A camera's first frame may not show the target; the user draws the box later.
    if not boxes and view and not selection.source.live and not view.ask(session, selection.first):
        raise ValueError("no target: the selection was cancelled")


def _track_frames(session: Session, selection: FrameSelection, response: bool) -> Iterator[Frame]:
    """Yield each frame after the session has tracked it; a bar shows frames and scores."""
    name = selection.source.name
    with tqdm(total=selection.total, unit=" frames", desc=Path(name).name) as bar:
        bar.update()
        yield selection.first
        for frame in selection.rest:
            try:
                results = session.step(frame, response=response)
            except ValueError as error:
                raise SourceError(f"{name}: frame {frame.index}: {error}") from None
            scores = " ".join(f"{result.score:.2f}" for result in results.values())
            bar.set_postfix(score=scores, refresh=False)
            bar.update()
            yield frame


def _print_notices(video: VideoSink | None) -> None:
    """Print what the video lacks, such as sound, if the user can change that."""
    if video and video.fallback:
        print(f"siamcorr: {video.fallback}", file=sys.stderr)
    if video and video.notice and "has no sound" not in video.notice:
        print(f"siamcorr: {video.notice}", file=sys.stderr)


def _report(args: argparse.Namespace, selection: FrameSelection, count: int, stopped: bool) -> None:
    """Print what was written, and whether the source had fewer frames than announced."""
    written = " and ".join(filter(None, (args.output, args.boxes)))
    print(f"{count} frames tracked" + (f", written to {written}" if written else ""))
    source = selection.source
    if source.dropped or source.reconnects:
        text = f"{source.dropped} frames dropped for newer ones, {source.reconnects} reconnects"
        print(f"siamcorr: {source.name}: {text}", file=sys.stderr)
    if stopped or args.max_frames is not None or selection.total is None:
        return
    if count < selection.total:
        text = f"{source.name}: ended after {count} of {selection.total} announced frames"
        print(f"siamcorr: {text}", file=sys.stderr)


def _open_view(
    args: argparse.Namespace, stack: ExitStack, seconds: float, stop: StopRequest
) -> View | None:
    """Open a window. Return None without a display or with --no-show."""
    if args.show is False:
        return None
    if display_available():
        window = stack.enter_context(closing(Window()))
        folder = Path(args.output or args.boxes or "snapshot").parent
        return View(window, folder, seconds, lambda: stop.requested)
    if args.show:
        raise ValueError("--show: there is no display")
    return None
