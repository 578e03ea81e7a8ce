"""1x1 convolution and the activation after it in one call of the C++ kernels, on a CPU.

In channels_last it is a product of two matrices. One call replaces several of PyTorch, which cost
more than the products on small maps.
"""

from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.native_layer import NativeLayer, Step, activation_name
from siamcorr.layers.pointwise import PointwiseConv2d
from siamcorr.ops import kernels, layer_kernels

MAX_OUTPUT = 2**20  # numbers of a response; PyTorch is faster for larger ones


class NativePointwiseConv2d(NativeLayer):
    """Replaces a 1x1 nn.Conv2d, with or without groups, for inference.

    Results are equal up to rounding. `PointwiseConv2d` computes what the kernels do not support:
    features that are not channels_last, other types than float32, gradients, autocast, tracing,
    export, other devices.

    Shapes: (B, C, H, W) -> (B, O, H, W), in the memory format of the input.

    Example:
        >>> conv = nn.Conv2d(8, 16, 1)
        >>> NativePointwiseConv2d.of(conv, nn.ReLU())(torch.rand(1, 8, 31, 31)).shape
        torch.Size([1, 16, 31, 31])
    """

    bias: Tensor

    def __init__(self, conv: nn.Conv2d, activation: str | None) -> None:
        super().__init__(activation)
        self.plain = PointwiseConv2d.of(conv)
        self.groups, self.outputs = conv.groups, conv.out_channels // conv.groups
        bias = conv.bias if conv.bias is not None else conv.weight.new_zeros(conv.out_channels)
        for name, parameter in (("weight", conv.weight), ("bias", bias)):
            blocks = self._blocks(parameter.detach().resolve_neg())
            self.register_buffer(name, blocks, persistent=False)

    @classmethod
    def of(cls, conv: nn.Conv2d, activation: nn.Module | None = None) -> Self:
        """Convert a convolution and the activation after it.

        Raises:
            ValueError: another convolution, or an activation other than ReLU, ReLU6 and Hardswish.
        """
        return cls(conv, activation_name(activation))

    def step(self, features: Tensor) -> Step | None:
        """Prepare a job; None for what the kernels do not support."""
        if not self._fits(features):
            return None
        job = layer_kernels.pack_pointwise(
            features.shape, self.groups, self.outputs, self.activation
        )
        return partial(layer_kernels.run_pointwise, job, weight=self.weight, bias=self.bias)

    def compute_plain(self, features: Tensor) -> Tensor:
        """Convolve by PyTorch, without the activation."""
        out: Tensor = self.plain(features)
        return out

    def extra_repr(self) -> str:
        """The activation, as repr shows it."""
        return f"activation={self.activation}"

    def _fits(self, features: Tensor) -> bool:
        """Whether the kernels support features and are faster; the fallback reports errors."""
        channels, sides = features.shape[1], features.shape[2:]
        return (
            features.dtype == self.weight.dtype == self.bias.dtype == torch.float32
            and kernels.available(self.weight.device.type)
            and min(sides) > 0
            and channels == self.groups * self.weight.shape[1]
            and features.numel() // channels * self.groups * self.outputs <= MAX_OUTPUT
            and features.is_contiguous(memory_format=torch.channels_last)
        )

    def _blocks(self, parameter: Tensor) -> Tensor:
        """Weights (O, C, 1, 1) as (blocks, C, BLOCK), biases (O,) as (blocks, 1, BLOCK).

        The last block of a group ends with its last channel; fewer channels are filled up with
        zeros.
        """
        outputs, size = self.outputs, layer_kernels.BLOCK
        grouped = parameter.reshape(self.groups, outputs, -1)
        starts = [min(first, max(outputs - size, 0)) for first in range(0, outputs, size)]
        blocks = torch.stack([grouped[:, first : first + size] for first in starts], dim=1)
        filled = F.pad(blocks, (0, 0, 0, size - blocks.shape[2]))
        return filled.flatten(0, 1).transpose(1, 2).contiguous()
