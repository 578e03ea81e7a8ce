"""`siamcorr export MODEL OUT.onnx`: write a network as ONNX graphs."""

import argparse
from typing import get_args

from siamcorr.adaptors.onnx import ExportOptions, export_onnx
from siamcorr.models import build_model, find_weights, load_preset, preset_names
from siamcorr.ops.export import Correlation


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    default = ExportOptions()
    parser = subparsers.add_parser("export", help="write a network as ONNX graphs")
    parser.add_argument("model", metavar="MODEL", choices=preset_names())
    parser.add_argument("destination", metavar="OUT.onnx", help="base name of the graphs")
    parser.add_argument("--weights", metavar="FILE", help="default: the published ones")
    parser.add_argument(
        "--correlation",
        choices=get_args(Correlation),
        default=default.correlation,
        help="conv: Conv with the template as its weight, which many runtimes do not support; "
        "matmul: MatMul, slices and sums; auto (the default): what every runtime supports",
    )
    parser.add_argument(
        "--opset",
        type=int,
        metavar="N",
        default=default.opset,
        help="ONNX operator set, 13 or later (default: %(default)s)",
    )
    parser.add_argument(
        "--half", action="store_true", help="compute in float16; inputs and outputs are float32"
    )
    parser.add_argument(
        "--dynamic-batch",
        action="store_true",
        help="N images with N templates, for any N (default: one target)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, then print the files and their sizes."""
    weights = args.weights or find_weights(load_preset(args.model))
    options = ExportOptions(args.correlation, args.opset, args.half, args.dynamic_batch)
    try:
        written = export_onnx(build_model(args.model, weights), args.destination, options)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: pip install 'siamcorr[export]'") from None
    for path in written:
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
    return 0
