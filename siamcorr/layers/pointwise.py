"""1x1 convolution as a matrix product.

On small maps the overhead of a convolution is larger than its products; a matrix product has less
overhead.
"""

from contextlib import suppress
from typing import Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import has_torch_function_unary

from siamcorr.ops.kernels import can_read
from siamcorr.ops.torch_versions import autocast_active, transforms_active

M = TypeVar("M", bound=nn.Module)


class PointwiseConv2d(nn.Module):
    """Replaces a 1x1 nn.Conv2d, with or without groups, for inference on a CPU.

    Results are equal up to rounding. F.conv2d computes features that are neither contiguous nor
    channels_last.

    Shapes: (B, C, H, W) -> (B, O, H, W), in the memory format of the input.

    Example:
        >>> conv = nn.Conv2d(8, 16, 1)
        >>> PointwiseConv2d.of(conv)(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 16, 31, 31])
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.register_buffer("weight", weight.flatten(1), persistent=False)  # (O, C / groups)
        self.register_buffer("bias", bias, persistent=False)

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Self:
        """Convert a convolution.

        Raises:
            ValueError: not 1x1, or with stride or padding, or depthwise.
        """
        single = conv.kernel_size == conv.stride == (1, 1)
        single = single and (conv.groups == 1 or conv.groups < conv.in_channels)
        if not single or conv.padding not in ((0, 0), "valid", "same"):
            raise ValueError(f"PointwiseConv2d: takes a plain 1x1 convolution, got {conv}")
        bias = None if conv.bias is None else conv.bias.detach()
        return cls(conv.weight.detach(), bias, conv.groups)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W)."""
        plain = features.dim() != 4 or 0 in features.shape[2:] or transforms_active()
        last = not plain and features.is_contiguous(memory_format=torch.channels_last)
        if (
            plain
            or features.shape[1] != self.weight.shape[1] * self.groups  # F.conv2d reports it
            or not (last or features.is_contiguous())
            or has_torch_function_unary(features)  # a mode must see one convolution
        ):
            return F.conv2d(features, self.weight[:, :, None, None], self.bias, groups=self.groups)
        if last:
            return self._last(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        batch, _, height, width = features.shape
        parts = batch * self.groups
        weight = self._by_group(self.weight, batch)
        columns = features.view(parts, self.weight.shape[1], height * width)
        if self.bias is None:
            image = torch.bmm(weight, columns)
        else:
            image = torch.baddbmm(self._by_group(self.bias[:, None], batch), weight, columns)
        return image.view(batch, len(self.weight), height, width)

    def _by_group(self, parameter: Tensor, batch: int) -> Tensor:
        """(O, ...) to (B * groups, O / groups, ...)."""
        if self.groups == 1:
            return parameter.expand(batch, *parameter.shape)
        return parameter.view(self.groups, -1, parameter.shape[1]).repeat(batch, 1, 1)

    def _last(self, features: Tensor) -> Tensor:
        """Features (B, H, W, C) to (B, H, W, O)."""
        if self.groups == 1:
            return F.linear(features, self.weight, self.bias)
        outputs, inputs = self.weight.shape
        weights = self.weight.view(self.groups, -1, inputs).unbind()
        biases = [None] * self.groups if self.bias is None else self.bias.chunk(self.groups)
        parts = features.reshape(-1, self.groups, inputs).unbind(1)
        groups = zip(parts, weights, biases, strict=True)
        if not self._writes_slices(features):
            rows = torch.cat([F.linear(*group) for group in groups], dim=1)
            return rows.view(*features.shape[:3], outputs)
        out = features.new_empty(*features.shape[:3], outputs)
        places = out.view(-1, self.groups, outputs // self.groups).unbind(1)
        for (part, weight, bias), place in zip(groups, places, strict=True):
            if bias is None:
                torch.mm(part, weight.t(), out=place)
            else:
                torch.addmm(bias, part, weight.t(), out=place)
        return out

    def _writes_slices(self, features: Tensor) -> bool:
        """Whether products can be written where they belong; `out=` has no gradient or autocast."""
        learns = torch.is_grad_enabled() and features.requires_grad
        return not learns and can_read(features, self.weight) and not autocast_active("cpu")

    def extra_repr(self) -> str:
        """Sizes, as repr shows them."""
        outputs, inputs = self.weight.shape
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"{inputs * self.groups}, {outputs}{groups}"


def use_pointwise(module: M) -> M:
    """Replace every 1x1 convolution by a `PointwiseConv2d`, in place.

    Args:
        module: for inference; replaced layers cannot be trained or saved.
    """
    for parent in [*module.modules()]:
        for name, child in [*parent.named_children()]:
            if type(child) is nn.Conv2d:
                with suppress(ValueError):
                    setattr(parent, name, PointwiseConv2d.of(child))
    return module
