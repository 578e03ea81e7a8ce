"""Layers on the C++ kernels, for inference on a CPU: checks once, then one call per layer.

A layer prepares a step for each input shape. Neighbouring layers run their steps in a row, because
the output of one is known to suit the next.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import has_torch_function_unary

from siamcorr.ops import kernels
from siamcorr.ops.torch_versions import autocast_active

ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardswish: "hardswish",
}
FUNCTIONS = {"relu": F.relu, "relu6": F.relu6, "hardswish": F.hardswish}
MAX_SHAPES = 64  # for which a run keeps its steps

Step = Callable[[Tensor], Tensor]


class NativeLayer(nn.Module):
    """Base of the layers: `step` runs the kernels, `fallback` is for what they do not support."""

    weight: Tensor

    def __init__(self, activation: str | None) -> None:
        super().__init__()
        self.activation = activation
        self._run = NativeRun([self])

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W)."""
        return self._run(features)

    @abstractmethod
    def step(self, features: Tensor) -> Step | None:
        """Prepare the kernels for features of this shape, layout and dtype; None: not supported."""

    @abstractmethod
    def convolve(self, features: Tensor) -> Tensor:
        """Convolve without the kernels, and without the activation."""

    def fallback(self, features: Tensor) -> Tensor:
        """Compute the layer without the kernels."""
        out = self.convolve(features)
        return FUNCTIONS[self.activation](out) if self.activation else out


class NativeRun:
    """Neighbouring layers, called one after the other without checks between them.

    Args:
        layers: at least one.
    """

    def __init__(self, layers: Sequence[NativeLayer]) -> None:
        self.layers = layers
        self._weights: list[Tensor] = []  # of the steps
        self._steps: dict[tuple[Any, ...], list[Step]] = {}

    def __call__(self, features: Tensor) -> Tensor:
        """Run the layers on features (B, C, H, W)."""
        if not readable(features):
            for layer in self.layers:
                features = layer.fallback(features)
            return features
        weights = [layer._buffers["weight"] for layer in self.layers]
        if any(new is not old for new, old in zip(weights, self._weights, strict=False)):
            self._steps.clear()  # the network was converted
        key = features.shape, features.stride(), features.dtype
        steps = self._steps.get(key)
        if steps is None:
            return self._prepare(key, features)
        for step in steps:
            features = step(features)
        return features

    def _prepare(self, key: tuple[Any, ...], features: Tensor) -> Tensor:
        """Run the layers for the first time, and keep their steps."""
        if len(self._steps) >= MAX_SHAPES:
            self._steps.clear()
        steps: list[Step] = []
        for layer in self.layers:
            step = layer.step(features) or FallbackStep(layer)
            features = step(features)
            steps.append(step)
        self._weights = [layer.weight for layer in self.layers]
        self._steps[key] = steps
        return features


class FallbackStep:
    """A layer without the kernels; its output always has the layout of the first time."""

    def __init__(self, layer: NativeLayer) -> None:
        self.layer = layer
        self.layout: torch.memory_format | None = None

    def __call__(self, features: Tensor) -> Tensor:
        """Run the layer."""
        out = self.layer.fallback(features)
        if self.layout is None:
            last = out.is_contiguous(memory_format=torch.channels_last)
            self.layout = torch.channels_last if last else torch.contiguous_format
        return out.contiguous(memory_format=self.layout)


def readable(features: Tensor) -> bool:
    """Whether the kernels may read features: in a call that nothing else must observe."""
    return (
        features.dim() == 4
        and features.device.type == "cpu"
        and not (torch.is_grad_enabled() and features.requires_grad)
        and not has_torch_function_unary(features)  # a mode must see one convolution
        and kernels.can_read(features, features)
        and not autocast_active("cpu")
    )


def activation_name(activation: nn.Module | None) -> str | None:
    """The kernels' name of an activation.

    Raises:
        ValueError: neither ReLU, ReLU6 nor Hardswish.
    """
    if activation is None:
        return None
    if type(activation) not in ACTIVATIONS:
        raise ValueError(f"the kernels have no activation {activation}")
    return ACTIVATIONS[type(activation)]
