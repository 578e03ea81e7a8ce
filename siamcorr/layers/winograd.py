"""3x3 convolution with a quarter of the multiplications, for wide layers on small maps.

Winograd's minimal filtering F(4x4, 3x3): transform a tile of 6 x 6 inputs and the 3 x 3 filter to
36 points each, multiply point by point (the sum over channels is a matrix product), and transform
back to 4 x 4 outputs. 36 products replace 144.

A convolution with dilation d equals d*d interleaved images without dilation, each with its own
tiles.
"""

from contextlib import suppress
from typing import Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function_unary

from siamcorr.ops.torch_versions import autocast_active

M = TypeVar("M", bound=nn.Module)

# Transforms along one axis: of the input (6, 6), the filter (6, 3) and the output (4, 6).
INPUT = (
    (4.0, 0, -5, 0, 1, 0),
    (0.0, -4, -4, 1, 1, 0),
    (0.0, 4, -4, -1, 1, 0),
    (0.0, -2, -1, 2, 1, 0),
    (0.0, 2, -1, -2, 1, 0),
    (0.0, 4, 0, -5, 0, 1),
)
FILTER = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0, 1),
)
OUTPUT = (
    (1.0, 1, 1, 1, 1, 0),
    (0.0, 1, -1, 2, -2, 0),
    (0.0, 1, 1, 4, 4, 0),
    (0.0, 1, -1, 8, -8, 1),
)


class WinogradConv2d(nn.Module):
    """Replaces a 3x3 nn.Conv2d with stride 1 for inference.

    Results are equal to about 1e-5 in float32. The weights need four times the memory.

    Shapes: (B, C, H, W) -> (B, O, H + 2*padding - 2*dilation, likewise W), channels last.

    Reference:
        Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015,
        arXiv:1509.09308.

    Example:
        >>> conv = nn.Conv2d(8, 16, 3, padding=2, dilation=2)
        >>> WinogradConv2d.of(conv)(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 16, 31, 31])
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], dilation: int
    ) -> None:
        super().__init__()
        self.padding, self.dilation = padding, dilation
        self.register_buffer("weight", transform_filter(weight), persistent=False)
        self.register_buffer("bias", bias, persistent=False)

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Self:
        """Convert a convolution.

        Raises:
            ValueError: not 3x3, or with stride, groups, two different dilations, or padding other
                than zeros.
        """
        plain = conv.kernel_size == (3, 3) and conv.stride == (1, 1) and conv.groups == 1
        square = conv.dilation[0] == conv.dilation[1] and conv.padding_mode == "zeros"
        if not (plain and square and isinstance(conv.padding, tuple)):
            raise ValueError(f"WinogradConv2d: takes a plain 3x3 convolution, got {conv}")
        bias = None if conv.bias is None else conv.bias.detach()
        padding = conv.padding[0], conv.padding[1]
        return cls(conv.weight.detach(), bias, padding, conv.dilation[0])

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W); under autocast in float32, with autocast's dtype out."""
        kind = features.device.type
        alone = features.dtype == torch.float64  # autocast does not change float64
        if alone or not autocast_active(kind):
            return winograd_conv2d(features, self.weight, self.bias, self.padding, self.dilation)
        with torch.autocast(kind, enabled=False):
            wide = features.float(), self.weight.float(), self.bias
            image = winograd_conv2d(*wide, self.padding, self.dilation)
        return image.to(torch.get_autocast_dtype(kind))

    def extra_repr(self) -> str:
        """Sizes and options, as repr shows them."""
        _, inputs, outputs = self.weight.shape
        return f"{inputs}, {outputs}, padding={self.padding}, dilation={self.dilation}"


def use_winograd(module: M, channels: int = 256) -> M:
    """Replace every convolution that becomes faster by a `WinogradConv2d`, in place.

    On CPUs those are plain 3x3 convolutions with many input and output channels; narrower ones are
    limited by memory, not by products.

    Args:
        module: for inference; replaced layers cannot be trained or saved.
        channels: minimum input and output channels of a convolution to replace.
    """
    for parent in [*module.modules()]:
        for name, child in [*parent.named_children()]:
            if type(child) is nn.Conv2d and min(child.in_channels, child.out_channels) >= channels:
                with suppress(ValueError):
                    setattr(parent, name, WinogradConv2d.of(child))
    return module


def winograd_conv2d(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    padding: tuple[int, int] = (0, 0),
    dilation: int = 1,
) -> Tensor:
    """Convolve with a filter from `transform_filter`.

    Args:
        features: (B, C, H, W).
        weight: (36, C, O).
        bias: (O,).
        padding: zeros on both sides of height and of width.
        dilation: of the 3x3 filter.

    Returns:
        (B, O, H + 2*padding - 2*dilation, likewise W), channels last.

    Raises:
        ValueError: the filter is larger than the padded features.
    """
    if has_torch_function_unary(features):  # a mode must see one convolution
        result: Tensor = handle_torch_function(
            winograd_conv2d, (features,), features, weight, bias, padding, dilation
        )
        return result
    batch, channels, height, width = features.shape
    d, outputs = dilation, weight.shape[2]
    high, wide = height + 2 * padding[0] - 2 * d, width + 2 * padding[1] - 2 * d
    if high < 1 or wide < 1:
        raise ValueError(
            f"winograd_conv2d: the filter must lie inside the padded features, "
            f"got {2 * d + 1} cells in {height + 2 * padding[0]}x{width + 2 * padding[1]}"
        )
    rows, columns = -(-high // (4 * d)), -(-wide // (4 * d))  # tiles of each interleaved image
    bottom = d * (4 * rows + 2) - height - padding[0]
    right = d * (4 * columns + 2) - width - padding[1]
    pixels = features.permute(0, 2, 3, 1)  # (B, H, W, C)
    pixels = F.pad(pixels, (0, 0, padding[1], right, padding[0], bottom))
    pixels = pixels.reshape(batch, 4 * rows + 2, d, 4 * columns + 2, d, channels)
    tiles = pixels.unfold(1, 6, 4).unfold(3, 6, 4)  # (B, rows, d, columns, d, C, 6, 6)
    count = batch * rows * d * columns * d
    points = _two_axes(INPUT, features) @ tiles.permute(6, 7, 0, 1, 2, 3, 4, 5).reshape(36, -1)
    products = torch.bmm(points.reshape(36, count, channels), weight)  # (36, tiles, O)
    cells = _two_axes(OUTPUT, features) @ products.reshape(36, -1)  # (16, tiles * O)
    cells = cells.reshape(4, 4, batch, rows, d, columns, d, outputs)
    image = cells.permute(2, 3, 0, 4, 5, 1, 6, 7)  # (B, rows, 4, d, columns, 4, d, O)
    image = image.reshape(batch, 4 * rows * d, 4 * columns * d, outputs)[:, :high, :wide]
    if bias is not None:
        image = image + bias
    return image.permute(0, 3, 1, 2)


def transform_filter(weight: Tensor) -> Tensor:
    """Transform a filter (O, C, 3, 3) to 36 points, (36, C, O), in float64, rounded once."""
    side = torch.tensor(FILTER, dtype=torch.float64, device=weight.device)
    points = torch.einsum("pi,qj,ocij->pqco", side, side, weight.double())
    return points.flatten(0, 1).to(weight.dtype).contiguous()


def _two_axes(side: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    """The transform along both axes, as one matrix."""
    matrix = torch.tensor(side, dtype=like.dtype, device=like.device)
    return torch.kron(matrix, matrix)
