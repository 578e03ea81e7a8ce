"""1x1 convolution as the matrix product that it is.

On small maps a convolution's preparations take longer than its products; a matrix product has
fewer of them.
"""

from contextlib import suppress
from typing import Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import has_torch_function_unary

M = TypeVar("M", bound=nn.Module)


class PointwiseConv2d(nn.Module):
    """A 1x1 convolution that was an nn.Conv2d, for inference on a CPU.

    Equal to it to rounding. Features that are neither contiguous nor channels_last go to F.conv2d.

    Shapes: (B, C, H, W) -> (B, O, H, W), in the memory order of the input.

    Example:
        >>> conv = nn.Conv2d(8, 16, 1)
        >>> PointwiseConv2d.of(conv)(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 16, 31, 31])
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight.flatten(1), persistent=False)  # (O, C)
        self.register_buffer("bias", bias, persistent=False)

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Self:
        """The same convolution.

        Raises:
            ValueError: not 1x1, or with stride, groups or padding.
        """
        single = conv.kernel_size == conv.stride == (1, 1) and conv.groups == 1
        if not single or conv.padding not in ((0, 0), "valid", "same"):
            raise ValueError(f"PointwiseConv2d: takes a plain 1x1 convolution, got {conv}")
        return cls(conv.weight.detach(), None if conv.bias is None else conv.bias.detach())

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W)."""
        last = features.dim() == 4 and features.is_contiguous(memory_format=torch.channels_last)
        if (
            features.dim() != 4
            or features.shape[1] != self.weight.shape[1]  # F.conv2d says what is wrong
            or not (last or features.is_contiguous())
            or has_torch_function_unary(features)  # a mode sees the convolution as a whole
        ):
            return F.conv2d(features, self.weight[:, :, None, None], self.bias)
        if last:
            image = F.linear(features.permute(0, 2, 3, 1), self.weight, self.bias)
            return image.permute(0, 3, 1, 2)
        batch, _, height, width = features.shape
        weight = self.weight.expand(batch, -1, -1)
        columns = features.flatten(2)  # (B, C, H * W)
        if self.bias is None:
            image = torch.bmm(weight, columns)
        else:
            image = torch.baddbmm(self.bias[:, None], weight, columns)
        return image.view(batch, len(self.weight), height, width)

    def extra_repr(self) -> str:
        """Sizes, as repr shows them."""
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}"


def use_pointwise(module: M) -> M:
    """Put a `PointwiseConv2d` in the place of every plain 1x1 convolution, in place.

    Args:
        module: for inference; what is replaced can be neither trained nor saved.
    """
    for parent in [*module.modules()]:
        for name, child in [*parent.named_children()]:
            if type(child) is nn.Conv2d:
                with suppress(ValueError):
                    setattr(parent, name, PointwiseConv2d.of(child))
    return module
