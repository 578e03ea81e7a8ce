"""`siamcorr models`: list the networks and their published weights."""

import argparse

import torch

from siamcorr.layers import count_parameters
from siamcorr.models import Preset, assemble, find_weights, load_preset, preset_names


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("models", help="list the networks and their weights")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a paragraph about each network."""
    print("\n\n".join(_paragraph(load_preset(name)) for name in preset_names()))
    return 0


def _paragraph(preset: Preset) -> str:
    crop, weights = preset.crop, preset.weights
    with torch.device("meta"):
        parameters = count_parameters(assemble(preset))
    lines = [
        f"{preset.name}: {preset.about}",
        f"  parameters {parameters:,}; template {crop.template_size}, search {crop.search_size} "
        f"pixels, {crop.color.upper()}",
        f"  weights {weights.file} ({weights.licence}): {_place(preset)}",
        f"  published at {weights.url or weights.page}",
    ]
    if weights.sha256:
        lines.append(f"  sha256 {weights.sha256}")
    return "\n".join(lines)


def _place(preset: Preset) -> str:
    try:
        return str(find_weights(preset))
    except FileNotFoundError:
        return "not on this machine"
