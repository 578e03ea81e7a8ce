"""Spatially separable convolution: a column, then a row, each across all channels."""

import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.padding import Padding, check_sizes, pad_input, pair


class SpatialSeparableConv2d(nn.Module):
    """A (k, 1) convolution, then a (1, k): spatially separable, not depthwise-separable.

    Both convolve all channels. Together they can represent only k x k filters that are outer
    products.

    Args:
        in_channels: C of the input.
        out_channels: O, also between the two convolutions.
        kernel_size: k.
        stride: of the first along the height, of the second along the width.
        padding: as in `SeparableConv2d`, for each convolution along its own axis.
        bias: of the second; the first has none.

    Shapes: (B, C, H, W) -> (B, O, H', W').

    Keys: vertical.weight (O, C, k, 1), horizontal.{weight (O, O, 1, k), bias}.

    Reference:
        Szegedy et al., Rethinking the Inception Architecture, 2015, arXiv:1512.00567.

    Example:
        >>> import torch
        >>> SpatialSeparableConv2d(8, 16, 7, stride=2)(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 16, 16, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: Padding = "same",
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, kernel_size, stride, padding)
        self.border = padding
        column, row = (kernel_size, 1), (1, kernel_size)
        self.vertical = nn.Conv2d(in_channels, out_channels, column, (stride, 1), bias=False)
        self.horizontal = nn.Conv2d(out_channels, out_channels, row, (1, stride), bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W)."""
        return self._step(self._step(features, self.vertical, 0), self.horizontal, 1)

    def _step(self, features: Tensor, conv: nn.Conv2d, side: int) -> Tensor:
        border = self.border
        if isinstance(border, int):
            border = (border, border)
        if isinstance(border, tuple):  # each step pads only its own axis
            border = (border[0], 0) if side == 0 else (0, border[1])
        kernel, stride = pair(conv.kernel_size), pair(conv.stride)  # type: ignore[arg-type]
        padded, padding = pad_input(features, border, kernel, stride, (1, 1))
        return F.conv2d(padded, conv.weight, conv.bias, stride, padding)
