"""Compare four kinds of convolution: parameters, multiply-adds, receptive field, time.

python demo/convolutions.py [--channels 64] [--size 64]

Builds the same small network, a stem and three 3x3 layers, with full, grouped, depthwise-separable
and dilated convolutions.
"""

import argparse
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from siamcorr.bench import summarize
from siamcorr.bench.measure import time_together
from siamcorr.layers import SeparableConv2d, fuse

KINDS: dict[str, Callable[[int], nn.Module]] = {
    "full": lambda c: nn.Conv2d(c, c, 3, padding=1, bias=False),
    "grouped, 4": lambda c: nn.Conv2d(c, c, 3, padding=1, groups=4, bias=False),
    "depthwise-separable": lambda c: SeparableConv2d(c, c, 3, bias=False),
    "dilated, 2": lambda c: nn.Conv2d(c, c, 3, padding=2, dilation=2, bias=False),
}


def network(kind: str, channels: int) -> nn.Module:
    """A stem of stride 2, then three times: convolution, norm, ReLU."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)]
    for _ in range(3):
        layers += [KINDS[kind](channels), nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers).eval()


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--channels", type=int, default=64, help="a multiple of 4")
    parser.add_argument("--size", type=int, default=64, help="of the image, in pixels")
    args = parser.parse_args()
    if args.channels % 4 or min(args.channels, args.size) < 4:
        parser.error("--channels must be a multiple of 4, --size at least 4")
    image = torch.rand(1, 3, args.size, args.size)
    networks = {kind: network(kind, args.channels) for kind in KINDS}
    # Fold the norms, as for inference, so that only the convolutions are timed.
    calls = {kind: partial(fuse(net), image) for kind, net in networks.items()}
    times = time_together(calls, 2.0, "cpu")
    print(f"{'convolutions':<20} {'parameters':>11} {'multiply-adds':>14} {'sees':>5} {'ms':>8}")
    for kind, net in networks.items():
        row = summarize(net, image, depth=0)[0]
        counts = f"{row.parameters:>11,} {row.multiply_adds:>14,} {row.field.height:>5}"
        print(f"{kind:<20} {counts} {times[kind].median * 1e3:>8.3f}")
    print("\n'sees' is the receptive field in pixels. Time does not fall as fast as multiply-adds:")
    print("a depthwise convolution is limited by memory, not by arithmetic.")


if __name__ == "__main__":
    main()
