"""What differs from one torch to the next: the only place that uses private names of it.

Any release may take a private name away. So each is looked up by its path, and where it is gone
a public way takes its place: slower, never wrong. `IN_USE` says which of the two is taken.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

MISSING: Any = object()


# Types of devices that torch.autocast knows; asking torch for it breaks a compiled graph in 2.6.
AUTOCAST = frozenset(filter(torch.amp.is_autocast_available, ("cpu", "cuda", "xpu", "mps", "hpu")))

TRANSFORMS = "_C._are_functorch_transforms_active"
FORWARD_LEVEL = "autograd.forward_ad._current_level"
DISPATCH_MODES = "_C._len_torch_dispatch_stack"


def look_up(path: str) -> Any:
    """What a dotted path of torch leads to; `MISSING` if this torch has no such name."""
    at: Any = torch
    for name in path.split("."):
        at = getattr(at, name, MISSING)
    return at


def always() -> bool:
    """The answer where nobody can tell: then the way is taken that is right for either case."""
    return True


def forward_level_known() -> bool:
    """Whether forward-mode derivatives are taken, by torch's private counter."""
    return torch.autograd.forward_ad._current_level >= 0


IN_USE: dict[str, Literal["private", "public"]] = {
    path: "public" if look_up(path) is MISSING else "private"
    for path in (TRANSFORMS, FORWARD_LEVEL, DISPATCH_MODES)
}

# Whether torch.func is at work. Publicly: assume so, which costs an autograd.Function each call.
transforms_active: Callable[[], bool] = (
    look_up(TRANSFORMS) if IN_USE[TRANSFORMS] == "private" else always
)

# Whether forward-mode derivatives are taken. Publicly: assume so, which makes a compiled graph for
# each batch instead of one for all. `forward_ad.unpack_dual` does not tell while a graph is made.
forward_mode_active: Callable[[], bool] = (
    forward_level_known if IN_USE[FORWARD_LEVEL] == "private" else always
)

# How many dispatch modes watch: fake tensors, a FLOP counter. Publicly: assume one, which leaves
# method "native" out.
dispatch_modes: Callable[[], int] = (
    look_up(DISPATCH_MODES) if IN_USE[DISPATCH_MODES] == "private" else always
)


VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])

# Whether torch.compile reads a size that changes inside of what an autograd.Function is given.
GRAPHS_READ_SYMBOLS = VERSION >= (2, 13)


def exported_without_dynamo() -> bool:
    """Whether torch.export makes a graph, as far as it tells before 2.13: it must not be strict.

    2.6 has no question for it; in later ones torch.compile answers that it exports.
    """
    return torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()


# Whether the graph leaves for another runtime, which knows no operator of ours.
exporting: Callable[[], bool] = (
    torch.compiler.is_exporting if VERSION >= (2, 13) else exported_without_dynamo
)


def autocast_active(device_type: str) -> bool:
    """Whether torch.autocast is on for a type of device."""
    return device_type in AUTOCAST and torch.is_autocast_enabled(device_type)


def legacy_batched(tensor: Tensor) -> bool:
    """Whether a tensor is one of is_grads_batched=True, which knows few views.

    Such a tensor has no storage; torch's own question for it is private.
    """
    try:
        tensor.untyped_storage()
    except NotImplementedError:
        return True
    return False


def tracing() -> bool:
    """Whether torch.jit.trace runs, where sizes are tensors."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]
