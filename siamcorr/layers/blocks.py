"""Blocks of convolution, norm and activation, as architecture search uses them.

The order of words in a name is the order of layers. Keys are `op.N`, as in DARTS, so that
published cells load. `affine=False` makes norms without parameters, as during a search.
"""

from torch import Tensor, nn


class Block(nn.Module):
    """A chain of layers under the key `op`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H', W'), H' = ceil(H / stride)."""
        out: Tensor = self.op(features)
        return out


class ConvBNReLU(Block):
    """Convolution, norm, ReLU. Keys: op.0, op.1.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: odd.
        stride: >= 1.
        dilation: >= 1.
        groups: number of groups that C and O are split into.
        affine: whether the norm has parameters.

    Example:
        >>> import torch
        >>> ConvBNReLU(8, 16, 3, stride=2)(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 16, 16, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        affine: bool = True,
    ) -> None:
        conv = _conv(in_channels, out_channels, kernel_size, stride, dilation, groups)
        super().__init__(conv, nn.BatchNorm2d(out_channels, affine=affine), nn.ReLU())


class ReLUConvBN(Block):
    """ReLU, convolution, norm: the order of DARTS. Keys: op.1, op.2. Args as `ConvBNReLU`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        affine: bool = True,
    ) -> None:
        conv = _conv(in_channels, out_channels, kernel_size, stride, dilation, groups)
        super().__init__(nn.ReLU(), conv, nn.BatchNorm2d(out_channels, affine=affine))


class DilConv(Block):
    """ReLU, dilated depthwise, 1x1, norm. Keys: op.1, op.2, op.3. Args as `SepConv`.

    Reference:
        Liu et al., DARTS, 2018, arXiv:1806.09055.

    Example:
        >>> import torch
        >>> DilConv(8, 16, 5)(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 16, 31, 31])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 2,
        affine: bool = True,
    ) -> None:
        chain = _depthwise_pointwise(
            in_channels, out_channels, kernel_size, stride, dilation, affine
        )
        super().__init__(*chain)


class SepConv(Block):
    """ReLU, depthwise, 1x1, norm; once, or twice as in DARTS. Keys: op.1..3, op.5..7.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: odd.
        stride: of the first depthwise step.
        dilation: >= 1.
        affine: whether the norms have parameters.
        repeats: 1 or more depthwise-pointwise pairs; DARTS has 2. All but the last keep C.

    Reference:
        Liu et al., DARTS, 2018, arXiv:1806.09055.

    Example:
        >>> import torch
        >>> SepConv(8, 16, 3, stride=2)(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 16, 16, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        affine: bool = True,
        repeats: int = 2,
    ) -> None:
        if repeats < 1:
            raise ValueError(f"SepConv: repeats must be >= 1, got {repeats}")
        chain: list[nn.Module] = []
        for turn in range(repeats):
            width = out_channels if turn == repeats - 1 else in_channels
            step = stride if turn == 0 else 1
            chain += _depthwise_pointwise(in_channels, width, kernel_size, step, dilation, affine)
        super().__init__(*chain)


def _conv(
    in_channels: int, out_channels: int, kernel: int, stride: int, dilation: int, groups: int
) -> nn.Conv2d:
    """Without bias, because a norm follows; with padding, so that only the stride shrinks."""
    if kernel % 2 == 0:
        raise ValueError(f"kernel_size must be odd, got {kernel}; SeparableConv2d takes even ones")
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(
        in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False
    )


def _depthwise_pointwise(
    in_channels: int, out_channels: int, kernel: int, stride: int, dilation: int, affine: bool
) -> list[nn.Module]:
    return [
        nn.ReLU(),
        _conv(in_channels, in_channels, kernel, stride, dilation, groups=in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels, affine=affine),
    ]
