"""Depthwise convolution and the activation after it in one pass of the C++ kernels, on a CPU.

A depthwise convolution computes few products per cell, so its cost is memory traffic. An
activation in the same pass is free, and zero padding needs no copy.
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
from siamcorr.ops.kernels import Form, PackedJob, Planes
from siamcorr.ops.torch_versions import autocast_active

M = TypeVar("M", bound=nn.Module)

ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardswish: "hardswish",
}
FUNCTIONS = {"relu": F.relu, "relu6": F.relu6, "hardswish": F.hardswish}
MAX_IMAGES = 2  # in a batch: for larger batches F.conv2d is faster
MAX_JOBS = 64  # cached jobs per layer, one per input shape


class NativeDepthwiseConv2d(nn.Module):
    """Replaces a depthwise nn.Conv2d or `DepthwiseConv2d` for inference.

    Results are equal up to rounding. F.conv2d computes large batches, for which it is faster, and
    the cases that the kernels do not support: gradients, autocast, tracing, export, other devices.

    Shapes: as the convolution, (B, C, H, W) -> (B, C, H', W'), in the memory format of the input.

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
        self._jobs: dict[tuple[Any, ...], PackedJob | None] = {}

    @classmethod
    def of(cls, conv: nn.Conv2d, activation: nn.Module | None = None) -> Self:
        """Convert a convolution and the activation after it.

        Raises:
            ValueError: not depthwise, several filters per channel, padding other than zeros, or
                an activation other than ReLU, ReLU6 and Hardswish.
        """
        alone = conv.groups == conv.in_channels == conv.out_channels
        if not alone or conv.padding_mode != "zeros":
            raise ValueError(f"NativeDepthwiseConv2d: takes a depthwise convolution, got {conv}")
        padding = conv.border if isinstance(conv, DepthwiseConv2d) else conv.padding
        if activation is not None and type(activation) not in ACTIVATIONS:
            raise ValueError(f"NativeDepthwiseConv2d: takes no activation {activation}")
        bias = None if conv.bias is None else conv.bias.detach().contiguous()
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
            or has_torch_function_unary(features)  # a mode must see one convolution
            or not kernels.can_read(features, weight)
            or autocast_active("cpu")
        ):
            return self._convolve(features)
        if key not in self._jobs:
            if len(self._jobs) >= MAX_JOBS:
                self._jobs.clear()
            self._jobs[key] = self._job(features) if self._fits(features) else None
        packed = self._jobs[key]
        return (
            kernels.run(packed, features, weight, self.bias) if packed else self._convolve(features)
        )

    def extra_repr(self) -> str:
        """Sizes and options, as repr shows them."""
        size = tuple(self.weight.shape[2:])
        text = f"{len(self.weight)}, kernel_size={size}, stride={self.stride}"
        text += f", padding={self.padding!r}, dilation={self.dilation}"
        return text + (f", activation={self.activation}" if self.activation else "")

    def _fits(self, features: Tensor) -> bool:
        """Whether the kernels support features and are faster; F.conv2d reports wrong shapes."""
        return (
            len(features) <= MAX_IMAGES
            and kernels.available(self.weight.device.type)
            and features.shape[1] == len(self.weight)
            and features.dtype == self.weight.dtype
            and (self.bias is None or self.bias.dtype == self.weight.dtype)
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
        """Zero padding as (top, bottom) and (left, right)."""
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

    def _job(self, features: Tensor) -> PackedJob:
        (top, _), (left, _) = self._pads(features)
        form = Form(self._out_size(features), (top, left), self.stride, self.dilation)
        (image, channel), own = features.stride()[:2], self.weight.stride(0)
        count, channels = features.shape[:2]
        planes = Planes((count, 1, channels, 1), (image, 0, channel, 0), (0, 0, own, 0))
        shape = (count, channels, *form.out_size)
        activation = kernels.ACTIVATIONS.index(self.activation)
        return kernels.pack(planes, form, shape, features, self.weight, activation)


def use_native(module: M) -> M:
    """Replace every depthwise convolution by a `NativeDepthwiseConv2d`, in place.

    In an nn.Sequential, an activation right after the convolution becomes part of it, and an
    nn.Identity takes its place. Without the C++ kernels nothing is replaced.

    Args:
        module: for inference; replaced layers cannot be trained or saved.
    """
    if not kernels.available("cpu"):
        return module
    for parent in [*module.modules()]:
        if isinstance(parent, nn.Sequential):
            _fuse_activations(parent)
        for name, child in [*parent.named_children()]:
            if _is_supported(child):
                setattr(parent, name, NativeDepthwiseConv2d.of(child))  # type: ignore[arg-type]
    return module


def _fuse_activations(chain: nn.Sequential) -> None:
    steps = [name for name, child in chain.named_children() if not isinstance(child, nn.Identity)]
    for first, second in pairwise(steps):
        conv, activation = chain.get_submodule(first), chain.get_submodule(second)
        if _is_supported(conv) and type(activation) in ACTIVATIONS:
            setattr(chain, first, NativeDepthwiseConv2d.of(conv, activation))  # type: ignore[arg-type]
            setattr(chain, second, nn.Identity())


def _is_supported(child: nn.Module) -> bool:
    """Whether `NativeDepthwiseConv2d.of` supports this module."""
    if type(child) not in (nn.Conv2d, DepthwiseConv2d):
        return False
    try:
        NativeDepthwiseConv2d.of(child)  # type: ignore[arg-type]
    except ValueError:
        return False
    return True


def _cells_first(weight: Tensor) -> Tensor:
    """The same (C, 1, h, w), with channels contiguous in memory."""
    return weight.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
