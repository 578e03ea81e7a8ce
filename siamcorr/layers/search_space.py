"""The blocks that architecture search chooses from, by their usual names."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.blocks import DilConv, ReLUConvBN, SepConv


class Identity(nn.Module):
    """Return the input."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same tensor."""
        return features


class Zero(nn.Module):
    """Zeros, with a stride: the block for "no connection"."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H', W') zeros, also for infinite inputs."""
        return torch.zeros_like(features[:, :, :: self.stride, :: self.stride])

    def extra_repr(self) -> str:
        """The stride, as repr shows it."""
        return f"stride={self.stride}"


class FactorizedReduce(nn.Module):
    """Halve height and width: two strided 1x1 convolutions, one cell apart, then a norm.

    Odd sizes work, too: a row and a column of zeros complete the second grid.

    Shapes: (B, C, H, W) -> (B, O, ceil(H / 2), ceil(W / 2)).

    Keys: conv_1.weight (O // 2, C, 1, 1), conv_2.weight (O - O // 2, C, 1, 1), bn.
    """

    def __init__(self, in_channels: int, out_channels: int, affine: bool = True) -> None:
        super().__init__()
        if out_channels < 2:
            raise ValueError(f"FactorizedReduce: out_channels must be >= 2, got {out_channels}")
        half = out_channels // 2
        self.conv_1 = nn.Conv2d(in_channels, half, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(in_channels, out_channels - half, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, features: Tensor) -> Tensor:
        """Reduce features (B, C, H, W)."""
        active = features.relu()
        shifted = F.pad(active, (0, 1, 0, 1))[:, :, 1:, 1:]
        both = torch.cat([self.conv_1(active), self.conv_2(shifted)], dim=1)
        normed: Tensor = self.bn(both)
        return normed


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    return Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


def _spatial_7(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False),
        nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


def _factory(block: type[nn.Module], kernel: int) -> Callable[[int, int, bool], nn.Module]:
    """A function that builds a block with this kernel size from channels, stride and affine."""
    return lambda channels, stride, affine: block(channels, channels, kernel, stride, affine=affine)


BLOCKS: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "none": lambda channels, stride, affine: Zero(stride),
    "skip_connect": _skip,
    "avg_pool_3x3": lambda channels, stride, affine: nn.AvgPool2d(
        3, stride, 1, count_include_pad=False
    ),
    "max_pool_3x3": lambda channels, stride, affine: nn.MaxPool2d(3, stride, 1),
    "conv_3x3": _factory(ReLUConvBN, 3),
    "sep_conv_3x3": _factory(SepConv, 3),
    "sep_conv_5x5": _factory(SepConv, 5),
    "sep_conv_7x7": _factory(SepConv, 7),
    "dil_conv_3x3": _factory(DilConv, 3),
    "dil_conv_5x5": _factory(DilConv, 5),
    "conv_7x1_1x7": _spatial_7,
}


def make_block(name: str, channels: int, stride: int = 1, affine: bool = True) -> nn.Module:
    """Build a block by its usual name.

    Args:
        name: a key of `BLOCKS`.
        channels: C of input and output.
        stride: 1, or 2 in a reduction cell.
        affine: whether its norms have parameters.

    Raises:
        ValueError: no block has that name, or the stride is neither 1 nor 2.

    Example:
        >>> import torch
        >>> make_block("dil_conv_5x5", 16)(torch.rand(1, 16, 9, 9)).shape
        torch.Size([1, 16, 9, 9])
    """
    if stride not in (1, 2):
        raise ValueError(f"make_block: stride must be 1 or 2, got {stride}")
    if name not in BLOCKS:
        raise ValueError(f"no block is called {name!r}, only {', '.join(BLOCKS)}")
    return BLOCKS[name](channels, stride, affine)
