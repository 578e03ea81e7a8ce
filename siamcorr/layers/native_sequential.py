"""Put a network's convolutions on the C++ kernels, for inference on a CPU."""

from collections import OrderedDict
from contextlib import suppress
from itertools import pairwise
from typing import TypeVar

from torch import Tensor, nn

from siamcorr.layers.native_conv import NativeConv2d
from siamcorr.layers.native_depthwise import NativeDepthwiseConv2d
from siamcorr.layers.native_gate import GATES, NativeGate
from siamcorr.layers.native_layer import ACTIVATIONS, NativeLayer, NativeRun, Step
from siamcorr.layers.separable import DepthwiseConv2d
from siamcorr.ops import kernels

M = TypeVar("M", bound=nn.Module)


class NativeSequential(nn.Sequential):
    """An nn.Sequential whose neighbouring native layers run without checks between them.

    Hooks of its layers are called as ever.
    """

    def __init__(self, layers: "OrderedDict[str, nn.Module]") -> None:
        super().__init__(layers)
        self._plan: tuple[tuple[nn.Module, ...], list[Step]] = (), []  # for these layers

    def forward(self, features: Tensor) -> Tensor:
        """Run the layers."""
        layers = tuple(self)
        if any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers):
            for layer in layers:
                features = layer(features)
            return features
        planned, parts = self._plan
        if layers != planned:
            parts = _parts(layers)
            self._plan = layers, parts  # in one step, because other threads may read it
        for part in parts:
            features = part(features)
        return features


def _parts(layers: tuple[nn.Module, ...]) -> list[Step]:
    """Neighbouring native layers as one run each, and the other layers, without nn.Identity."""
    parts: list[Step] = []
    run: list[NativeLayer] = []
    for layer in layers:
        if isinstance(layer, NativeLayer):
            if not run:
                parts.append(NativeRun(run))
            run.append(layer)
        elif not isinstance(layer, nn.Identity):
            run = []
            parts.append(layer)
    return parts


def use_native(module: M) -> M:
    """Replace convolutions that the C++ kernels support, and channel attention, in place.

    In an nn.Sequential, an activation right after the convolution becomes part of it, and an
    nn.Identity takes its place. Without the C++ kernels nothing is replaced.

    Args:
        module: for inference; replaced layers cannot be trained or saved.
    """
    if not kernels.available("cpu"):
        return module
    for parent in [*module.modules()]:
        if type(parent) is nn.Sequential:
            _fuse_activations(parent)
        if isinstance(parent, NativeLayer):  # it keeps the layer that it replaced
            continue
        for name, child in [*parent.named_children()]:
            if (native := native_layer(child)) is not None:
                setattr(parent, name, native)
    for parent in [*module.modules()]:
        for name, child in [*parent.named_children()]:
            if type(child) is nn.Sequential:
                setattr(parent, name, NativeSequential(OrderedDict(child.named_children())))
    return module


def native_layer(layer: nn.Module, activation: nn.Module | None = None) -> NativeLayer | None:
    """Convert a layer, and the activation after it; None if the kernels do not support it."""
    if type(layer) in GATES:
        with suppress(ValueError):
            return NativeGate.of(layer, activation)  # type: ignore[arg-type]
    if type(layer) not in (nn.Conv2d, DepthwiseConv2d):
        return None
    with suppress(ValueError):
        return NativeDepthwiseConv2d.of(layer, activation)  # type: ignore[arg-type]
    with suppress(ValueError):
        return NativeConv2d.of(layer, activation)  # type: ignore[arg-type]
    return None


def _fuse_activations(chain: nn.Sequential) -> None:
    steps = [name for name, child in chain.named_children() if not isinstance(child, nn.Identity)]
    for first, second in pairwise(steps):
        activation = chain.get_submodule(second)
        if type(activation) not in ACTIVATIONS:
            continue
        if (native := native_layer(chain.get_submodule(first), activation)) is not None:
            setattr(chain, first, native)
            setattr(chain, second, nn.Identity())
