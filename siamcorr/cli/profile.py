"""`siamcorr profile MODEL`: time the stages of a frame, and the cost of more targets."""

import argparse
import statistics

import torch

from siamcorr.bench import STAGES, profile_tracker, time_lost, time_targets
from siamcorr.cli.device import choose_device
from siamcorr.cli.validation import use_threads
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import SiameseNetwork, build_model, for_inference, preset_names
from siamcorr.tracking.boxes import Image


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("profile", help="milliseconds of each stage of a frame")
    add = parser.add_argument
    add("model", metavar="MODEL", choices=preset_names())
    add("--weights", metavar="FILE", help="default: random ones, which are as fast")
    add("--device", default="cpu", metavar="auto|cpu|cuda[:N]")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's)")
    add("--frames", type=int, default=60, metavar="N", help="length of the clip (default: 60)")
    add("--targets", type=int, nargs="+", metavar="N", help="instead, time frames with N targets")
    add("--lost", action="store_true", help="also time frames with these targets lost")
    add("--fuse", action=argparse.BooleanOptionalAction, default=True, help="fold batch norms")
    add("--compile", action="store_true", help="use torch.compile")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Track a rendered clip, and print medians."""
    use_threads(args)
    if args.targets is not None and min(args.targets) < 1:
        raise ValueError(f"--targets must be >= 1, got {min(args.targets)}")
    if args.lost and not args.targets:
        raise ValueError("--lost needs --targets N: how many are lost")
    if args.compile and not args.fuse:
        raise ValueError("--compile needs the fused network: omit --no-fuse")
    network = build_model(args.model, args.weights).to(choose_device(args.device))
    if args.fuse:
        network = for_inference(network, compiled=args.compile)
    if args.lost:
        _print_lost(network, args.targets, args.frames)
    elif args.targets:
        _print_targets(network, args.targets, args.frames)
    else:
        _print_stages(network, args.frames)
    return 0


def _print_targets(network: SiameseNetwork, counts: list[int], frames: int) -> None:
    """Print medians for each number of targets, all from one run."""
    laps = time_targets(network, _clip(frames), sorted({1, *counts}))
    one = statistics.median(laps[1])
    print(f"{_title(network)}, a frame of 640x480")
    for count, seconds in laps.items():
        median = statistics.median(seconds)
        print(f"  {count:4} targets {median * 1e3:8.2f} ms, {median / one:5.2f} times one target's")


def _print_lost(network: SiameseNetwork, counts: list[int], frames: int) -> None:
    """Print medians for each number of targets, visible and lost, all from one run."""
    laps = time_lost(network, _clip(frames), sorted({*counts}))
    print(f"{_title(network)}, a frame of 640x480")
    for count, both in laps.items():
        seen, lost = (statistics.median(seconds) * 1e3 for seconds in both)
        ratio = f"{lost / seen:5.2f} times"
        print(f"  {count:4} targets {seen:8.2f} ms in sight, {lost:8.2f} ms lost, {ratio}")


def _clip(frames: int) -> list[Image]:
    return [image for image, _ in render_clip(ClipConfig(frames=frames, width=640, height=480))]


def _print_stages(network: SiameseNetwork, frames: int) -> None:
    """Print medians of a frame's stages, with one target."""
    clip = [*render_clip(ClipConfig(frames=frames))]
    laps = profile_tracker(network, [image for image, _ in clip], clip[0][1])
    total = statistics.median(sum(lap.values()) for lap in laps)
    print(f"{_title(network)}, batch 1")
    for stage in STAGES:
        ms = statistics.median(lap[stage] for lap in laps) * 1e3
        print(f"  {stage:<22} {ms:8.2f} ms  {ms / total / 10:4.0f} %")
    print(f"  {'a frame':<22} {total * 1e3:8.2f} ms, {1 / total:.0f} FPS")


def _title(network: SiameseNetwork) -> str:
    return f"{network.preset.name} on {network.device}, {torch.get_num_threads()} threads"
