"""Put a network's convolutions on the C++ kernels, for inference on a CPU."""

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any, Self, TypeVar

from torch import Tensor, nn

from siamcorr.layers.native_depthwise import NativeDepthwiseConv2d
from siamcorr.layers.native_gate import GATES, NativeGate
from siamcorr.layers.native_layer import ACTIVATIONS, NativeLayer, Step, Steps, run_layers
from siamcorr.layers.native_pointwise import NativePointwiseConv2d
from siamcorr.layers.separable import DepthwiseConv2d
from siamcorr.ops import kernels
from siamcorr.ops.torch_versions import global_hooks

M = TypeVar("M", bound=nn.Module)
Hooks = Mapping[int, Any]


class NativeSequential(nn.Sequential):
    """An nn.Sequential whose neighbouring native layers run without checks between them.

    Layers of a NativeSequential inside it count as its own. If one of all these has a hook, its
    children are called one by one.
    """

    def __init__(self, layers: "OrderedDict[str, nn.Module]") -> None:
        super().__init__(layers)
        # Modules inside, what runs instead of them, and where they keep their hooks.
        self._plan: tuple[list[nn.Module], list[Step], list[Hooks]] = [], [], []

    def forward(self, features: Tensor) -> Tensor:
        """Run the layers."""
        modules = _collect(self, [])
        planned, parts, hooks = self._plan
        if modules != planned:
            parts, hooks = _parts(modules), [each for module in modules for each in _hooks(module)]
            self._plan = modules, parts, hooks  # in one step, because other threads may read it
        if global_hooks() or any(hooks):
            for layer in self:
                features = layer(features)
            return features
        for part in parts:
            features = part(features)
        return features

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plan": ([], [], [])}

    def _apply(self, *args: Any, **options: Any) -> Self:
        self._plan = [], [], []  # conversion to another type or device
        return super()._apply(*args, **options)  # type: ignore[no-any-return,no-untyped-call]


def _collect(chain: NativeSequential, found: list[nn.Module]) -> list[nn.Module]:
    """Append the modules of a chain, and of chains inside it, and return them."""
    for module in chain._modules.values():
        assert module is not None
        found.append(module)
        if type(module) is NativeSequential:
            _collect(module, found)
    return found


def _parts(modules: list[nn.Module]) -> list[Step]:
    """Neighbouring native layers as one part each, and the other layers, without nn.Identity."""
    parts: list[Step] = []
    several: list[NativeLayer] = []
    for layer in modules:
        if type(layer) is NativeSequential:
            continue  # its modules follow
        if isinstance(layer, NativeLayer):
            if not several:
                parts.append(partial(run_layers, several, Steps()))
            several.append(layer)
        elif not isinstance(layer, nn.Identity):
            several = []
            parts.append(layer)
    return parts


def _hooks(module: nn.Module) -> tuple[Hooks, ...]:
    """What a call of a module calls, too."""
    return (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )


def use_native(module: M) -> M:
    """Replace convolutions that the C++ kernels support, and channel attention, in place.

    In an nn.Sequential, an activation right after the convolution becomes part of it, and an
    nn.Identity takes its place. Without the C++ kernels nothing is replaced.

    Args:
        module: for inference; replaced layers cannot be trained, loaded or saved.
    """
    if kernels.available("cpu"):
        _replace(module)
    return module


def _replace(parent: nn.Module) -> None:
    """Replace the layers below a module; what native layers keep stays as it is."""
    if type(parent) is nn.Sequential:
        _fuse_activations(parent)
    for name, child in [*parent._modules.items()]:  # a layer that occurs twice, twice
        if child is None or isinstance(child, NativeLayer):
            continue
        replaced: nn.Module | None = native_layer(child)
        if replaced is None:
            _replace(child)
            if type(child) is nn.Sequential and not any(_hooks(child)):
                layers = OrderedDict(zip(child._modules, child, strict=True))
                replaced = NativeSequential(layers)
        if replaced is not None:
            replaced.training = child.training
            setattr(parent, name, replaced)


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
        return NativePointwiseConv2d.of(layer, activation)  # type: ignore[arg-type]
    return None


def _fuse_activations(chain: nn.Sequential) -> None:
    layers = chain._modules.items()
    steps = [name for name, layer in layers if not isinstance(layer, nn.Identity)]
    for first, second in pairwise(steps):
        activation = chain.get_submodule(second)
        if type(activation) not in ACTIVATIONS:
            continue
        if (native := native_layer(chain.get_submodule(first), activation)) is not None:
            setattr(chain, first, native)
            setattr(chain, second, nn.Identity())
