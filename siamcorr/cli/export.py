"""`siamcorr export MODEL OUT.onnx`: a network as ONNX graphs."""

import argparse

from siamcorr.adaptors.onnx import export_onnx
from siamcorr.models import build_model, find_weights, load_preset, preset_names


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("export", help="write a network as ONNX graphs")
    parser.add_argument("model", metavar="MODEL", choices=preset_names())
    parser.add_argument("destination", metavar="OUT.onnx", help="what the graphs are called after")
    parser.add_argument("--weights", metavar="FILE", help="default: where they are kept")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, then tell what was written."""
    weights = args.weights or find_weights(load_preset(args.model))
    try:
        written = export_onnx(build_model(args.model, weights), args.destination)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: pip install 'siamcorr[export]'") from None
    for path in written:
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
    return 0
