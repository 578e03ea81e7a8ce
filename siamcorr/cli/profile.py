"""`siamcorr profile MODEL`: where a tracker's time goes."""

import argparse
import statistics

import torch

from siamcorr.bench import STAGES, profile_tracker
from siamcorr.cli.device import choose_device
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import build_model, for_inference, preset_names


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("profile", help="milliseconds of each stage of a frame")
    add = parser.add_argument
    add("model", metavar="MODEL", choices=preset_names())
    add("--weights", metavar="FILE", help="default: random ones, which take as long")
    add("--device", default="cpu", metavar="auto|cpu|cuda[:N]")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's)")
    add("--frames", type=int, default=60, metavar="N", help="of a rendered clip (default: 60)")
    add("--fuse", action=argparse.BooleanOptionalAction, default=True, help="fold the norms")
    add("--compile", action="store_true", help="by torch.compile")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Track through a clip, and print medians."""
    if args.threads is not None:
        if args.threads < 1:
            raise ValueError(f"--threads must be >= 1, got {args.threads}")
        torch.set_num_threads(args.threads)
    if args.compile and not args.fuse:
        raise ValueError("--compile works on the fused network: leave --no-fuse away")
    network = build_model(args.model, args.weights).to(choose_device(args.device))
    if args.fuse:
        network = for_inference(network, compiled=args.compile)
    clip = [*render_clip(ClipConfig(frames=args.frames))]
    laps = profile_tracker(network, [image for image, _ in clip], clip[0][1])
    total = statistics.median(sum(lap.values()) for lap in laps)
    print(f"{args.model} on {network.device}, {torch.get_num_threads()} threads, batch 1")
    for stage in STAGES:
        ms = statistics.median(lap[stage] for lap in laps) * 1e3
        print(f"  {stage:<22} {ms:8.2f} ms  {ms / total / 10:4.0f} %")
    print(f"  {'a frame':<22} {total * 1e3:8.2f} ms, {1 / total:.0f} frames a second")
    return 0
