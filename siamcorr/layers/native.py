"""Depthwise convolution and the activation behind it in one pass of the C++ kernels, on a CPU.

A depthwise convolution makes few products of each cell that it reads. What it costs is reading and
writing, so that an activation in the same pass is free, and zeros around the image need no copy.
"""

from itertools import pairwise
from typing import Any, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import has_torch_function_unary

from siamcorr.layers.padding import Padding, Pair, pad_input, pair, same_pad
from siamcorr.layers.separable import DepthwiseConv2d
from siamcorr.ops import kernels
from siamcorr.ops.kernels import Form, Planes, Ready
from siamcorr.ops.torch_versions import autocast_active

M = TypeVar("M", bound=nn.Module)

ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardswish: "hardswish",
}
FUNCTIONS = {"relu": F.relu, "relu6": F.relu6, "hardswish": F.hardswish}
IMAGES = 2  # of a batch: with more of them to share out, F.conv2d is the faster
KEPT = 64  # shapes that a layer remembers


class NativeDepthwiseConv2d(nn.Module):
    """A depthwise convolution that was an nn.Conv2d or `DepthwiseConv2d`, for inference.

    Equal to it to rounding. Large batches, for which F.conv2d is faster, go to that, and so does
    what the kernels cannot do: gradients, autocast, a trace, an export, another device.

    Shapes: as the convolution has them, (B, C, H, W) -> (B, C, H', W'); the memory order of the
    input comes out.

    Example:
        >>> conv = nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8)
        >>> NativeDepthwiseConv2d.of(conv, nn.ReLU())(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 8, 16, 16])
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        activation: str | None,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.activation = activation
        self.register_buffer("weight", _cells_first(weight), persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self._jobs: dict[tuple[Any, ...], Ready | None] = {}

    @classmethod
    def of(cls, conv: nn.Conv2d, activation: nn.Module | None = None) -> Self:
        """The same convolution, with the activation behind it.

        Raises:
            ValueError: not depthwise, with several filters for a channel, with padding of a kind
                that zeros are not, or an activation that is none of ReLU, ReLU6 and Hardswish.
        """
        alone = conv.groups == conv.in_channels == conv.out_channels
        if not alone or conv.padding_mode != "zeros":
            raise ValueError(f"NativeDepthwiseConv2d: takes a depthwise convolution, got {conv}")
        padding = conv.border if isinstance(conv, DepthwiseConv2d) else conv.padding
        if activation is not None and type(activation) not in ACTIVATIONS:
            raise ValueError(f"NativeDepthwiseConv2d: takes no activation {activation}")
        bias = None if conv.bias is None else conv.bias.detach()
        name = None if activation is None else ACTIVATIONS[type(activation)]
        stride, dilation = pair(conv.stride), pair(conv.dilation)  # type: ignore[arg-type]
        return cls(conv.weight.detach(), bias, stride, padding, dilation, name)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W)."""
        weight = self.weight
        key = features.shape, features.stride(), features.dtype, weight.stride(), weight.dtype
        if (
            features.dim() != 4
            or features.device.type != "cpu"
            or (torch.is_grad_enabled() and features.requires_grad)
            or has_torch_function_unary(features)  # a mode sees the convolution as a whole
            or not kernels.sees(features, weight)
            or autocast_active("cpu")
        ):
            return self._convolve(features)
        if key not in self._jobs:
            if len(self._jobs) >= KEPT:
                self._jobs.clear()
            self._jobs[key] = self._job(features) if self._fits(features) else None
        ready = self._jobs[key]
        return (
            kernels.run(ready, features, weight, self.bias) if ready else self._convolve(features)
        )

    def extra_repr(self) -> str:
        """Sizes and options, as repr shows them."""
        size = tuple(self.weight.shape[2:])
        text = f"{len(self.weight)}, kernel_size={size}, stride={self.stride}"
        text += f", padding={self.padding!r}, dilation={self.dilation}"
        return text + (f", activation={self.activation}" if self.activation else "")

    def _fits(self, features: Tensor) -> bool:
        """Whether the kernels take features and gain; F.conv2d says what is wrong otherwise."""
        return (
            len(features) <= IMAGES
            and kernels.available(self.weight.device.type)
            and features.shape[1] == len(self.weight)
            and features.dtype == self.weight.dtype
            and features.dtype in kernels.DTYPES
            and min(self._out_size(features)) > 0
        )

    def _convolve(self, features: Tensor) -> Tensor:
        size = self.weight.shape[2], self.weight.shape[3]
        padded, padding = pad_input(features, self.padding, size, self.stride, self.dilation)
        options = self.stride, padding, self.dilation, len(self.weight)
        out = F.conv2d(padded, self.weight, self.bias, *options)
        return FUNCTIONS[self.activation](out) if self.activation else out

    def _pads(self, features: Tensor) -> tuple[Pair, Pair]:
        """Zeros above and below, and left and right."""
        height, width = features.shape[2:]
        rows, columns = self.weight.shape[2:]
        if self.padding == "same":
            return (
                same_pad(height, rows, self.stride[0], self.dilation[0]),
                same_pad(width, columns, self.stride[1], self.dilation[1]),
            )
        high, wide = (0, 0) if self.padding == "valid" else pair(self.padding)
        return (high, high), (wide, wide)

    def _out_size(self, features: Tensor) -> Pair:
        pads, size = self._pads(features), self.weight.shape[2:]
        rows, columns = (
            (features.shape[2 + n] + sum(pads[n]) - self.dilation[n] * (size[n] - 1) - 1)
            // self.stride[n]
            + 1
            for n in range(2)
        )
        return rows, columns

    def _job(self, features: Tensor) -> Ready:
        (top, _), (left, _) = self._pads(features)
        form = Form(self._out_size(features), (top, left), self.stride, self.dilation)
        (image, channel), own = features.stride()[:2], self.weight.stride(0)
        count, channels = features.shape[:2]
        planes = Planes((count, 1, channels, 1), (image, 0, channel, 0), (0, 0, own, 0))
        shape = (count, channels, *form.out_size)
        activation = kernels.ACTIVATIONS.index(self.activation)
        return kernels.pack(planes, form, shape, features, self.weight, activation)


def use_native(module: M) -> M:
    """Put a `NativeDepthwiseConv2d` in the place of every depthwise convolution, in place.

    In an nn.Sequential it takes the activation right behind it along, which leaves an
    nn.Identity. Without the C++ kernels nothing is replaced.

    Args:
        module: for inference; what is replaced can be neither trained nor saved.
    """
    if not kernels.available("cpu"):
        return module
    for parent in [*module.modules()]:
        if isinstance(parent, nn.Sequential):
            _take_activations(parent)
        for name, child in [*parent.named_children()]:
            if _takes(child):
                setattr(parent, name, NativeDepthwiseConv2d.of(child))  # type: ignore[arg-type]
    return module


def _take_activations(chain: nn.Sequential) -> None:
    steps = [name for name, child in chain.named_children() if not isinstance(child, nn.Identity)]
    for first, second in pairwise(steps):
        conv, activation = chain.get_submodule(first), chain.get_submodule(second)
        if _takes(conv) and type(activation) in ACTIVATIONS:
            setattr(chain, first, NativeDepthwiseConv2d.of(conv, activation))  # type: ignore[arg-type]
            setattr(chain, second, nn.Identity())


def _takes(child: nn.Module) -> bool:
    """Whether it is a convolution that `NativeDepthwiseConv2d.of` takes."""
    if type(child) not in (nn.Conv2d, DepthwiseConv2d):
        return False
    try:
        NativeDepthwiseConv2d.of(child)  # type: ignore[arg-type]
    except ValueError:
        return False
    return True


def _cells_first(weight: Tensor) -> Tensor:
    """The same (C, 1, h, w), with neighbouring channels side by side in memory."""
    return weight.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
