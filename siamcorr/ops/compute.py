"""Compute one tensor of a correlation from the other two: choose the method, then call it.

`siamcorr.ops.autograd` adds the gradients.
"""

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor

from siamcorr.ops import kernels
from siamcorr.ops.methods import METHODS, fft, triton
from siamcorr.ops.plan import choose
from siamcorr.ops.shapes import Computed, Geometry, Op, Task
from siamcorr.ops.torch_versions import autocast_active, is_legacy_batched

FUNCTIONS: dict[tuple[str, Op, Computed], Callable[[Tensor, Tensor, Geometry], Tensor]] = {
    (name, op, computed): getattr(module, f"{op}_{computed}")
    for name, module in METHODS.items()
    for op in get_args(Op)
    for computed in get_args(Computed)
}


def usable(device_type: str) -> list[str]:
    """The methods to choose from on a type of device, without triton's interpreter (for tests)."""
    gpu = device_type == "cuda" and triton.available(device_type)
    there = {"triton": gpu, "native": kernels.available(device_type)}
    return [name for name in METHODS if there.get(name, True)]


HALF = (torch.float16, torch.bfloat16)

# The two arguments of each contraction, in order; its gradients are those of the same tensors.
ARGUMENTS: dict[Computed, tuple[Computed, Computed]] = {
    "response": ("search", "template"),
    "search": ("template", "response"),
    "template": ("search", "response"),
}


def compute(first: Tensor, second: Tensor, task: Task) -> Tensor:
    """Compute by the method that task names, or by the one that the planner chooses.

    Half precision is summed in float32, and autocast is off inside: the result has the dtype of
    the arguments.
    """
    computed, geometry, method = task
    dtype, kind = first.dtype, first.device.type
    if geometry.search[0] == 0:  # no method supports an empty batch
        return first.new_zeros(getattr(geometry, computed))
    if torch.compiler.is_compiling():
        geometry = geometry if method == "conv" else geometry.to_integers()
    elif is_legacy_batched(first) or is_legacy_batched(second):  # these support few views
        method = "conv"
    if method == "auto":
        method = choose(computed, geometry, dtype, kind, readable=kernels.can_read(first, second))
    if method == "native" and kernels.available("cpu"):  # a trace cannot record our kernels
        method = "native" if kind != "meta" and kernels.can_read(first, second) else "conv"
    function = FUNCTIONS[method, geometry.op, computed]
    if dtype in HALF and method != "native" and (kind == "cpu" or method in ("gemm", "fft")):
        first, second = first.float(), second.float()
    if autocast_active(kind):
        with torch.autocast(kind, enabled=False):
            result = function(first, second, geometry)
    else:
        result = function(first, second, geometry)
    return result if result.dtype == dtype else result.to(dtype)


def response_to_spectrum(search: Tensor, spectrum: Tensor, task: Task) -> Tensor:
    """Compute the response by fft to a template with a known spectrum; search gets gradients."""
    wide = torch.promote_types(search.dtype, torch.float32)
    function = getattr(fft, f"{task.geometry.op}_response_to")
    result: Tensor = function(search.to(wide), spectrum, task.geometry)
    return result.to(search.dtype)
