"""Channel attention and the activation after it in one call of the C++ kernels, on a CPU."""

from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.channel_attention import ChannelAttention, SqueezeExcite
from siamcorr.layers.native_layer import NativeLayer, Step, activation_name
from siamcorr.ops import kernels, layer_kernels

GATES = {SqueezeExcite: "hardsigmoid", ChannelAttention: "sigmoid"}


class NativeGate(NativeLayer):
    """Replaces `SqueezeExcite` or `ChannelAttention` for inference.

    Results are equal up to rounding. The module itself computes what the kernels do not support:
    other types than float32, features that are not channels_last, gradients, graphs, other devices.

    Shapes: (B, C, H, W) -> (B, C, H, W).

    Example:
        >>> NativeGate.of(SqueezeExcite(16, 8), nn.ReLU())(torch.rand(1, 16, 9, 9)).shape
        torch.Size([1, 16, 9, 9])
    """

    def __init__(self, module: SqueezeExcite | ChannelAttention, activation: str | None) -> None:
        super().__init__(activation)
        self.module, self.gate = module, GATES[type(module)]
        parameters = (parameter.detach().resolve_neg() for parameter in module.parameters())
        first, first_bias, second, second_bias = parameters
        self.hidden, self.channels = first.shape[0], first.shape[1]
        room = (0, -self.channels % layer_kernels.BLOCK)
        second = second.flatten(1).t()
        parts = F.pad(first.flatten(1), room), first_bias, F.pad(second, room)
        weight = torch.cat([part.flatten() for part in (*parts, F.pad(second_bias, room))])
        self.register_buffer("weight", weight, persistent=False)

    @classmethod
    def of(
        cls, module: SqueezeExcite | ChannelAttention, activation: nn.Module | None = None
    ) -> Self:
        """Convert a module and the activation after it.

        Raises:
            ValueError: another module, or an activation other than ReLU, ReLU6 and Hardswish.
        """
        if type(module) not in GATES:
            raise ValueError(f"NativeGate: takes SqueezeExcite or ChannelAttention, got {module}")
        return cls(module, activation_name(activation))

    def step(self, features: Tensor) -> Step | None:
        """Prepare a job; None for what the kernels do not support."""
        if not (
            features.dtype == self.weight.dtype == torch.float32
            and kernels.available(self.weight.device.type)
            and features.shape[1] == self.channels
            and features.shape[2] * features.shape[3] > 0
            and features.is_contiguous(memory_format=torch.channels_last)
        ):
            return None
        job = layer_kernels.pack_gate(features.shape, self.hidden, self.gate, self.activation)
        return partial(layer_kernels.run_gate, job, weight=self.weight)

    def compute_plain(self, features: Tensor) -> Tensor:
        """Compute by PyTorch, without the activation."""
        out: Tensor = self.module(features)
        return out

    def extra_repr(self) -> str:
        """The activation, as repr shows it."""
        return f"activation={self.activation}"
