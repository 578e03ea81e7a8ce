"""Differences between torch versions; the only module that uses private names of torch.

Any release may remove a private name. So each is looked up by its path, and a public fallback,
which is slower but never wrong, replaces a missing one. `IN_USE` shows which of the two is used.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

MISSING: Any = object()


# Device types that torch.autocast supports; the query breaks a compiled graph in torch 2.6.
AUTOCAST = frozenset(filter(torch.amp.is_autocast_available, ("cpu", "cuda", "xpu", "mps", "hpu")))

TRANSFORMS = "_C._are_functorch_transforms_active"
FORWARD_LEVEL = "autograd.forward_ad._current_level"
DISPATCH_MODES = "_C._len_torch_dispatch_stack"
GLOBAL_HOOKS = "nn.modules.module._has_any_global_hook"
TRACING = "_C._is_tracing"


def look_up(path: str) -> Any:
    """Look up a dotted path in torch; `MISSING` if this version does not have it."""
    at: Any = torch
    for name in path.split("."):
        at = getattr(at, name, MISSING)
    return at


def assume_true() -> bool:
    """Fallback for an unknown state: True selects the path that is right in both cases."""
    return True


def forward_level_active() -> bool:
    """Whether forward-mode derivatives are active, by torch's private counter."""
    return torch.autograd.forward_ad._current_level >= 0


IN_USE: dict[str, Literal["private", "public"]] = {
    path: "public" if look_up(path) is MISSING else "private"
    for path in (TRANSFORMS, FORWARD_LEVEL, DISPATCH_MODES, GLOBAL_HOOKS, TRACING)
}

# Whether torch.func is active. Fallback: assume so, which costs an autograd.Function per call.
transforms_active: Callable[[], bool] = (
    look_up(TRANSFORMS) if IN_USE[TRANSFORMS] == "private" else assume_true
)

# Whether forward-mode derivatives are active. Fallback: assume so, which compiles one graph per
# batch size instead of one for all. `forward_ad.unpack_dual` does not work during compilation.
forward_mode_active: Callable[[], bool] = (
    forward_level_active if IN_USE[FORWARD_LEVEL] == "private" else assume_true
)

# How many dispatch modes are active (fake tensors, a FLOP counter). Fallback: assume one, which
# disables method "native".
dispatch_modes: Callable[[], int] = (
    look_up(DISPATCH_MODES) if IN_USE[DISPATCH_MODES] == "private" else assume_true
)

# Whether hooks of all modules are registered. Fallback: assume so, which costs checks per layer.
global_hooks: Callable[[], bool] = (
    look_up(GLOBAL_HOOKS) if IN_USE[GLOBAL_HOOKS] == "private" else assume_true
)

# Whether torch.jit.trace is running, in which sizes are tensors. Fallback: the public function,
# which takes longer.
tracing: Callable[[], bool] = (
    look_up(TRACING) if IN_USE[TRACING] == "private" else look_up("jit.is_tracing")
)

VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])

# Whether torch.compile supports symbolic sizes inside the arguments of an autograd.Function.
GRAPHS_READ_SYMBOLS = VERSION >= (2, 13)


def exported_without_dynamo() -> bool:
    """Whether a non-strict torch.export is running, for torch before 2.13.

    Torch 2.6 has no query for it; in later versions the query is also true under torch.compile.
    """
    return torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()


# Whether the graph is exported to another runtime, which does not have our operator.
exporting: Callable[[], bool] = (
    torch.compiler.is_exporting if VERSION >= (2, 13) else exported_without_dynamo
)


def autocast_active(device_type: str) -> bool:
    """Whether torch.autocast is active for a type of device."""
    return device_type in AUTOCAST and torch.is_autocast_enabled(device_type)


def is_legacy_batched(tensor: Tensor) -> bool:
    """Whether a tensor comes from is_grads_batched=True; such tensors support only few views.

    They have no storage. torch's own query for them is private.
    """
    try:
        tensor.untyped_storage()
    except NotImplementedError:
        return True
    return False
