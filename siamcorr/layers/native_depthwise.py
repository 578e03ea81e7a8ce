"""Depthwise convolution and the activation after it in one pass of the C++ kernels, on a CPU.

A depthwise convolution computes few products per cell, so its cost is memory traffic. An
activation in the same pass is free, and zero padding needs no copy.
"""

from functools import partial
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.native_layer import NativeLayer, Step, activation_name
from siamcorr.layers.padding import Padding, Pair, pad_input, pair, same_pad
from siamcorr.layers.separable import DepthwiseConv2d
from siamcorr.ops import kernels
from siamcorr.ops.kernels import Form, PackedJob, Planes

MAX_IMAGES = 2  # in a batch: for larger batches F.conv2d is faster


class NativeDepthwiseConv2d(NativeLayer):
    """Replaces a depthwise nn.Conv2d or `DepthwiseConv2d` for inference.

    Results are equal up to rounding. F.conv2d computes large batches, for which it is faster, and
    the cases that the kernels do not support: gradients, autocast, tracing, export, other devices.

    Shapes: as the convolution, (B, C, H, W) -> (B, C, H', W'), in the memory format of the input.

    Example:
        >>> import torch
        >>> conv = nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8)
        >>> NativeDepthwiseConv2d.of(conv, nn.ReLU())(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 8, 16, 16])
    """

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
        super().__init__(activation)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        bias = None if bias is None else bias.resolve_neg().contiguous()
        self.register_buffer("weight", _cells_first(weight.resolve_neg()), persistent=False)
        self.register_buffer("bias", bias, persistent=False)

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
        bias = None if conv.bias is None else conv.bias.detach()
        name = activation_name(activation)
        stride, dilation = pair(conv.stride), pair(conv.dilation)  # type: ignore[arg-type]
        return cls(conv.weight.detach(), bias, stride, padding, dilation, name)  # type: ignore[arg-type]

    def step(self, features: Tensor) -> Step | None:
        """Prepare a job; None for larger batches, and for what the kernels do not support."""
        if not self._fits(features):
            return None
        return partial(kernels.run, self._job(features), z=self.weight, bias=self.bias)

    def compute_plain(self, features: Tensor) -> Tensor:
        """Convolve by F.conv2d, without the activation."""
        size = self.weight.shape[2], self.weight.shape[3]
        padded, padding = pad_input(features, self.padding, size, self.stride, self.dilation)
        options = self.stride, padding, self.dilation, len(self.weight)
        return F.conv2d(padded, self.weight, self.bias, *options)

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
            and min(*features.shape[2:], *self._out_size(features)) > 0
        )

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


def _cells_first(weight: Tensor) -> Tensor:
    """The same (C, 1, h, w), with channels contiguous in memory."""
    return weight.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
