"""Layers on the C++ kernels, for inference on a CPU: checks once, then one call per layer.

A layer prepares a step for each input shape. Neighbouring layers run their steps in a row, because
the output of one is known to suit the next.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

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
MAX_INPUTS = 64  # shapes and layouts for which steps are kept

Step = Callable[[Tensor], Tensor]


class NativeLayer(nn.Module):
    """Base of the layers: `step` runs the kernels, `fallback` is for what they do not support.

    Options are fixed, and weights can be converted by `to`, but not loaded.
    """

    weight: Tensor

    def __init__(self, activation: str | None) -> None:
        super().__init__()
        self.activation = activation
        self._steps = Steps()

    def forward(self, features: Tensor) -> Tensor:
        """Run the layer on features (B, C, H, W)."""
        return run_layers((self,), self._steps, features)

    @abstractmethod
    def step(self, features: Tensor) -> Step | None:
        """Prepare the kernels for features of this shape, layout and dtype; None: not supported."""

    @abstractmethod
    def compute_plain(self, features: Tensor) -> Tensor:
        """Compute the layer without the kernels, and without the activation."""

    def fallback(self, features: Tensor) -> Tensor:
        """Compute the layer without the kernels."""
        out = self.compute_plain(features)
        return FUNCTIONS[self.activation](out) if self.activation else out

    def operands(self) -> tuple[Tensor | None, ...]:
        """What steps hold of this layer."""
        return self._buffers["weight"], self._buffers.get("bias")

    def _apply(self, *args: Any, **options: Any) -> Self:
        self._steps = Steps()  # conversion to another type or device
        return super()._apply(*args, **options)  # type: ignore[no-any-return,no-untyped-call]

    def _load_from_state_dict(self, state: Any, prefix: str, *args: Any) -> None:
        errors = args[-1]
        errors.append(f"{prefix[:-1]}: load weights before `use_native`, not after it")


class Steps:
    """The prepared steps of neighbouring layers, by input; copies and pickles start without any."""

    def __init__(self) -> None:
        self.operands: list[Tensor | None] = []
        self.by_input: dict[tuple[Any, ...], list[Step]] = {}

    def __reduce__(self) -> tuple[type["Steps"], tuple[()]]:
        return Steps, ()


def run_layers(layers: Sequence[NativeLayer], steps: Steps, features: Tensor) -> Tensor:
    """Run neighbouring layers, without checks between them.

    Args:
        layers: at least one.
        steps: their prepared steps; a new input adds some.
        features: (B, C, H, W).
    """
    if not readable(features):
        for layer in layers:
            features = layer.fallback(features)
        return features
    operands = [operand for layer in layers for operand in layer.operands()]
    if any(new is not old for new, old in zip(operands, steps.operands, strict=False)):
        steps.by_input.clear()  # a layer was converted
    key = features.shape, features.stride(), features.dtype
    prepared = steps.by_input.get(key)
    if prepared is None:
        return _first_run(layers, steps, operands, key, features)
    for step in prepared:
        features = step(features)
    return features


def _first_run(
    layers: Sequence[NativeLayer],
    steps: Steps,
    operands: list[Tensor | None],
    key: tuple[Any, ...],
    features: Tensor,
) -> Tensor:
    """Prepare the steps for an input, one after the other, and keep them."""
    prepared: list[Step] = []
    for layer in layers:
        step = layer.step(features) or FallbackStep(layer)
        features = step(features)
        prepared.append(step)
    if len(steps.by_input) >= MAX_INPUTS:
        steps.by_input.clear()
    steps.operands, steps.by_input[key] = operands, prepared
    return features


class FallbackStep:
    """A layer without the kernels.

    Its output always has the layout of the first time, for which the steps after it are prepared.
    """

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
        and features.layout is torch.strided
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
