"""`siamcorr track SOURCE`: follow a target through a video, a folder, a camera or a stream."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from tqdm import tqdm

from siamcorr.adaptors.onnx import onnx_network
from siamcorr.cli.device import choose_device
from siamcorr.cli.stop import StopRequest
from siamcorr.cli.trackers import DEFAULT, fitting_model
from siamcorr.media import (
    CsvSink,
    Frame,
    Source,
    SourceError,
    VideoSink,
    Window,
    display_available,
    draw_result,
    open_source,
)
from siamcorr.models import (
    Network,
    build_model,
    find_weights,
    for_inference,
    load_preset,
)
from siamcorr.tracking import Box, Tracker, TrackResult, check_box


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("track", help="follow a target through a video or a camera")
    add = parser.add_argument
    add("source", metavar="SOURCE", help="video file, image folder, camera index or stream URL")
    add("--box", metavar="X,Y,W,H", help="the target in the first frame, in pixels")
    add("--model", metavar="NAME", help="see `siamcorr models` (default: what the weights fit)")
    add("--weights", metavar="FILE", help=".pth or .safetensors (default: where they are kept)")
    add("--device", default="auto", metavar="auto|cpu|cuda[:N]")
    add("--backend", choices=("torch", "onnxruntime"), default="torch", help="what runs it")
    add("--compile", action="store_true", help="by torch.compile: slow to start, then fast")
    add("--output", metavar="OUT.mp4", help="write the video with the boxes drawn")
    add("--boxes", metavar="OUT.csv", help="write frame, time (s), x, y, w, h, score")
    add("--show", action=argparse.BooleanOptionalAction, help="default: where there is a display")
    add("--max-frames", type=int, metavar="N", help="stop after so many frames")
    add("--start", type=int, default=0, metavar="N", help="begin at this frame, counted from 0")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check all input, then track; outputs are only opened once nothing else can be wrong."""
    if args.max_frames is not None and args.max_frames < 1:
        raise ValueError(f"--max-frames must be >= 1, got {args.max_frames}")
    _refuse_overwriting(args.source, args.output, args.boxes)
    weights = Path(args.weights or find_weights(load_preset(args.model or DEFAULT)))
    anywhere = args.backend == "onnxruntime" and args.device == "auto"
    device = choose_device("cpu" if anywhere else args.device)
    with closing(open_source(args.source, args.start)) as source, ExitStack() as stack:
        frames = iter(source)
        first = next(frames, None)
        if first is None:
            raise SourceError(f"{source.name}: holds no readable frame")
        window = _open_window(args.show)
        if window:
            stack.enter_context(closing(window))
        box = _parse_box(args.box) if args.box else _draw_box(window, first)
        box = check_box(box, first.image.shape[:2])
        tracker = Tracker(_network(args, weights, device))
        video = stack.enter_context(VideoSink(args.output, source.fps)) if args.output else None
        table = stack.enter_context(CsvSink(args.boxes)) if args.boxes else None
        outputs = Outputs(table, video, window)
        if window is None and args.show is None:
            print("siamcorr: no display, going on without a window", file=sys.stderr)
        stop = stack.enter_context(StopRequest())
        rest = islice(frames, args.max_frames and args.max_frames - 1)
        count, go_on = 0, True
        for frame, result in _results(tracker, first, box, rest, source, args.max_frames):
            go_on = outputs.write(frame, result)
            count += 1
            if stop.asked or not go_on:
                break
    _report(args, source, count, stop.asked or not go_on)
    return 130 if stop.asked else 0


@dataclass(frozen=True)
class Outputs:
    """Whatever of table, video and window was asked for."""

    table: CsvSink | None
    video: VideoSink | None
    window: Window | None

    def write(self, frame: Frame, result: TrackResult) -> bool:
        """Pass a result on to all; False once the person at the window wants to stop."""
        if self.table:
            self.table.write(frame.index, frame.time, result.box_xywh, result.score)
        if not (self.video or self.window):
            return True
        label = f"{frame.index}  {result.score:.2f}{'  lost' if result.lost else ''}"
        drawn = draw_result(frame.image, result.box_xywh, result.score, label)
        if self.video:
            self.video.write(drawn)
        return self.window.show(drawn) if self.window else True


def _results(
    tracker: Tracker,
    first: Frame,
    box: Box,
    rest: Iterator[Frame],
    source: Source,
    limit: int | None,
) -> Iterator[tuple[Frame, TrackResult]]:
    """Each frame with its result, under a bar that shows frames, fps and score."""
    total = min(filter(None, (source.frame_count, limit)), default=None)
    with tqdm(total=total, unit=" frames", desc=Path(source.name).name) as bar:
        tracker.init(first.image, box)
        bar.update()
        yield first, TrackResult(box, 1.0)
        for frame in rest:
            try:
                result = tracker.update(frame.image)
            except ValueError as error:
                raise SourceError(f"{source.name}: frame {frame.index}: {error}") from None
            bar.set_postfix(score=f"{result.score:.2f}", refresh=False)
            bar.update()
            yield frame, result


def _network(args: argparse.Namespace, weights: Path, device: torch.device) -> Network:
    """The network, as fast as the machine and the options allow."""
    name = args.model or (fitting_model(weights) if args.weights else DEFAULT)
    if args.backend == "torch":
        if weights.suffix == ".onnx":
            raise ValueError(f"{weights}: is for --backend onnxruntime")
        network = build_model(name, weights).to(device)
        return for_inference(network, compiled=args.compile)
    if args.compile or device.type != "cpu":
        raise ValueError("--backend onnxruntime runs on the CPU, without --compile")
    try:
        return onnx_network(name, weights)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: pip install 'siamcorr[export]'") from None


def _report(args: argparse.Namespace, source: Source, count: int, stopped: bool) -> None:
    """One line on what was written, and one if the source fell short of what it announced."""
    written = " and ".join(filter(None, (args.output, args.boxes)))
    print(f"{count} frames tracked" + (f", written to {written}" if written else ""))
    short = source.frame_count and count < source.frame_count and args.max_frames is None
    if short and not stopped:
        text = f"{source.name}: ended after {count} of {source.frame_count} announced frames"
        print(f"siamcorr: {text}", file=sys.stderr)


def _parse_box(text: str) -> Box:
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--box must be X,Y,W,H in pixels, got {text}") from None
    return x, y, w, h


def _draw_box(window: Window | None, first: Frame) -> Box:
    if window is None:
        raise ValueError("no target: give --box X,Y,W,H (there is no window to draw it in)")
    box = window.select_box(first.image)
    if box is None:
        raise ValueError("no target: the selection was cancelled")
    return box


def _open_window(wanted: bool | None) -> Window | None:
    """A window if there is a display; None if there is none, or no window is wanted."""
    if wanted is False:
        return None
    if display_available():
        return Window()
    if wanted:
        raise ValueError("--show: there is no display")
    return None


def _refuse_overwriting(source: str, *outputs: str | None) -> None:
    for output in filter(None, outputs):
        if Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
            raise ValueError(f"{output}: is the source itself")
    paths = [Path(output).resolve() for output in outputs if output]
    if len(set(paths)) < len(paths):
        raise ValueError(f"{paths[0]}: the video and the table cannot be one file")
