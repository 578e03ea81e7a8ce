"""Necks: project a backbone's levels to given channels, and crop the template to its middle.

The caller passes `crop` for the template. Public trackers crop every map with a width below 20,
which also crops small search features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from siamcorr.layers.blocks import SepConv


def center_crop(features: Tensor, size: int) -> Tensor:
    """The middle size x size cells of features (B, C, H, W).

    Raises:
        ValueError: the features are smaller than size.

    Example:
        >>> center_crop(torch.rand(1, 8, 15, 15), 7).shape
        torch.Size([1, 8, 7, 7])
    """
    height, width = features.shape[-2:]
    if min(height, width) < size or size < 1:
        raise ValueError(
            f"center_crop: no {size} x {size} cells in features {tuple(features.shape)}"
        )
    top, left = (height - size) // 2, (width - size) // 2
    return features[:, :, top : top + size, left : left + size]


class AdjustLayer(nn.Module):
    """Project one level to a given number of channels: 1x1 convolution and norm.

    Shapes: (B, C, H, W) -> (B, O, H, W), or (B, O, crop, crop).

    Keys: downsample.{0 convolution (O, C, 1, 1), 1 norm}.

    Reference:
        Li et al., SiamRPN++, 2018, arXiv:1812.11703.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.downsample = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, features: Tensor, crop: int | None = None) -> Tensor:
        """Project features; crop, in cells, is for the template branch."""
        adjusted: Tensor = self.downsample(features)
        return adjusted if crop is None else center_crop(adjusted, crop)


class AdjustAllLayer(nn.Module):
    """Project several levels, each by its own `AdjustLayer`.

    Args:
        in_channels: of each level.
        out_channels: of each level.

    Shapes: a list of (B, C, H, W) -> a tuple of (B, O, H, W), or (B, O, crop, crop).

    Keys: downsample{2, 3, 4, …}.downsample.{0, 1}; a single level is called downsample.

    Reference:
        Li et al., SiamRPN++, 2018, arXiv:1812.11703; the layout is pysot's.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int]) -> None:
        super().__init__()
        widths = _level_widths(type(self).__name__, in_channels, out_channels)
        self.names = [f"downsample{level}" for level in range(2, 2 + len(widths))]
        if len(widths) == 1:
            self.names = ["downsample"]
        for name, (into, out) in zip(self.names, widths, strict=True):
            self.add_module(name, AdjustLayer(into, out))

    def forward(self, features: Sequence[Tensor], crop: int | None = None) -> tuple[Tensor, ...]:
        """Project every level; crop, in cells, is for the template branch."""
        layers = [self.get_submodule(name) for name in self.names]
        return tuple(layer(level, crop) for layer, level in zip(layers, features, strict=True))


class SeparableNeck(nn.Module):
    """Project several levels, each by its own separable block instead of a 1x1 convolution.

    Args:
        in_channels: of each level.
        out_channels: of each level.
        kernel_size: of the blocks, odd.
        block: SepConv or DilConv.

    Shapes: as `AdjustAllLayer`. Keys: levels.N.op.M.

    Example:
        >>> neck = SeparableNeck([24, 48], [64, 64]).eval()
        >>> levels = [torch.rand(1, 24, 15, 15), torch.rand(1, 48, 15, 15)]
        >>> [tuple(level.shape) for level in neck(levels, crop=7)]
        [(1, 64, 7, 7), (1, 64, 7, 7)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        kernel_size: int = 3,
        block: type[nn.Module] = SepConv,
    ) -> None:
        super().__init__()
        widths = _level_widths(type(self).__name__, in_channels, out_channels)
        self.levels = nn.ModuleList(block(into, out, kernel_size) for into, out in widths)

    def forward(self, features: Sequence[Tensor], crop: int | None = None) -> tuple[Tensor, ...]:
        """Project every level; crop, in cells, is for the template branch."""
        maps = (block(level) for block, level in zip(self.levels, features, strict=True))
        return tuple(level if crop is None else center_crop(level, crop) for level in maps)


def fuse_levels(maps: Sequence[Tensor], weight: Tensor | None = None) -> Tensor:
    """Fuse the maps of several levels: their mean, or their sum weighted by softmax(weight).

    Args:
        maps: L tensors of one shape.
        weight: (L,), as pysot learns it; None for the mean.

    Example:
        >>> fuse_levels([torch.zeros(2), torch.ones(2)]).tolist()
        [0.5, 0.5]
    """
    stacked = torch.stack([*maps])  # (L, …)
    if weight is None:
        return stacked.mean(dim=0)
    share = weight.softmax(dim=0).to(stacked.dtype)
    fused: Tensor = torch.tensordot(share, stacked, dims=1)
    return fused


class LevelFusion(nn.Module):
    """`fuse_levels` with a learned weight per level, or the mean. Keys: weight (L,)."""

    def __init__(self, levels: int, weighted: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(levels)) if weighted else None

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """L maps of one shape -> one of that shape."""
        return fuse_levels(maps, self.weight)


def _level_widths(
    name: str, in_channels: Sequence[int], out_channels: Sequence[int]
) -> list[tuple[int, int]]:
    if len(in_channels) != len(out_channels) or not in_channels:
        raise ValueError(
            f"{name}: in_channels and out_channels must name the same levels, got "
            f"{list(in_channels)} and {list(out_channels)}"
        )
    return [*zip(in_channels, out_channels, strict=True)]
