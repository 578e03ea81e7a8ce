"""`siamcorr summary NAME`: parameters, multiply-adds, receptive field and stride per layer."""

import argparse

import torch
from torch import nn

from siamcorr.bench import SearchSide, TemplateSide, summarize, summary_table
from siamcorr.cli.validation import check_counts
from siamcorr.layers import BLOCKS, make_block
from siamcorr.models import build_model, preset_names


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("summary", help="table of the layers of a network or block")
    add = parser.add_argument
    add("name", metavar="MODEL|BLOCK", help=f"a model, or {', '.join(BLOCKS)}")
    add("--depth", type=int, default=3, metavar="N", help="levels of submodules (default: 3)")
    add("--channels", type=int, default=64, metavar="C", help="of a block (default: 64)")
    add("--stride", type=int, default=1, metavar="S", help="of a block (default: 1)")
    add("--size", type=int, default=32, metavar="N", help="input side of a block (default: 32)")
    parser.set_defaults(run=run)


@torch.no_grad()
def run(args: argparse.Namespace) -> int:
    """Print the table."""
    check_counts(args, "depth", "channels", "stride", "size")
    try:
        if args.name in BLOCKS:
            block = make_block(args.name, args.channels, args.stride).eval()
            _print(block, torch.rand(1, args.channels, args.size, args.size), args.depth)
        else:
            _print_model(args.name, args.depth)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: pip install 'siamcorr[summary]'") from None
    return 0


def _print_model(name: str, depth: int) -> None:
    if name not in preset_names() and not name.endswith(".toml"):
        known = ", ".join([*preset_names(), *BLOCKS])
        raise ValueError(f"no model or block is called {name!r}, only {known}")
    network = build_model(name)
    crop = network.preset.crop
    small = torch.rand(1, 3, crop.template_size, crop.template_size) * 255
    large = torch.rand(1, 3, crop.search_size, crop.search_size) * 255
    once = summarize(TemplateSide(network), small, depth=0)[0]
    _print(SearchSide(network, network.template(small)), large, depth + 1)
    print(f"Template branch, once per target: {once.multiply_adds:,} multiply-adds.")


def _print(module: nn.Module, image: torch.Tensor, depth: int) -> None:
    print(f"input {' x '.join(str(side) for side in image.shape)}")
    print(summary_table(summarize(module, image, depth)))
