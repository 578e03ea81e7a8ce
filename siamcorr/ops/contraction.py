"""Correlation and its gradients, as three sides of one thing.

A correlation is a form that is linear in three tensors at once, search x, template z and g, the
gradient that comes back for the response:

    T(x, z, g) = sum over i, u of  x[i + u] * z[u] * g[i]

Take away one tensor, and what is left is a contraction of the other two: without g it is the
response, without x the gradient of search, without z the gradient of the template. So the
gradient of each contraction is made of the other two, and that holds again for their gradients:
second and higher orders come from the same three functions.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor

from siamcorr.ops import kernels
from siamcorr.ops.geometry import Geometry, Op, Want
from siamcorr.ops.methods import METHODS, fft, triton
from siamcorr.ops.plan import choose
from siamcorr.ops.torch_versions import (
    autocast_active,
    legacy_batched,
    transforms_active,
)

FUNCTIONS: dict[tuple[str, Op, Want], Callable[[Tensor, Tensor, Geometry], Tensor]] = {
    (name, op, want): getattr(module, f"{op}_{want}")
    for name, module in METHODS.items()
    for op in get_args(Op)
    for want in get_args(Want)
}


def usable(device_type: str) -> list[str]:
    """The methods worth trying on a type of device: triton's interpreter is for tests alone."""
    gpu = device_type == "cuda" and triton.available(device_type)
    there = {"triton": gpu, "native": kernels.available(device_type)}
    return [name for name in METHODS if there.get(name, True)]


HALF = (torch.float16, torch.bfloat16)

# For each contraction: what its first and its second argument are, and so whose gradients.
ARGUMENTS: dict[Want, tuple[Want, Want]] = {
    "response": ("search", "template"),
    "search": ("template", "response"),
    "template": ("search", "response"),
}


class Task(NamedTuple):
    """What to compute, and how."""

    want: Want
    geometry: Geometry
    method: str


Contract = Callable[[Tensor, Tensor, Task], Tensor]


def contract(first: Tensor, second: Tensor, task: Task) -> Tensor:
    """Compute the tensor that task wants from the other two, with gradients of every order."""
    graph = first.requires_grad or second.requires_grad
    if not (graph and torch.is_grad_enabled()) and not transformed():
        return compute(first, second, task)  # an autograd.Function costs more than a small product
    kind = Contraction if torch.compiler.is_compiling() else ContractionBothModes
    result: Tensor = kind.apply(first, second, task)  # type: ignore[no-untyped-call]
    return result


def transformed() -> bool:
    """Whether torch.func or torch.compile is at work, which need the Function's rules."""
    return torch.compiler.is_compiling() or transforms_active()


def compute(first: Tensor, second: Tensor, task: Task) -> Tensor:
    """Compute by the method that task names, or by the one that the planner chooses.

    Half precision is summed in float32, and autocast does not reach inside: the dtype that goes
    in comes out.
    """
    want, geometry, method = task
    dtype, kind = first.dtype, first.device.type
    if geometry.search[0] == 0:  # no method knows zero pairs
        return first.new_zeros(getattr(geometry, want))
    if torch.compiler.is_compiling():
        geometry = geometry if method == "conv" else geometry.fixed()
    elif legacy_batched(first) or legacy_batched(second):  # is_grads_batched; it knows few views
        method = "conv"
    if method == "auto":
        method = choose(want, geometry, dtype, kind, seen=kernels.sees(first, second))
    if method == "native" and kernels.available("cpu"):  # a trace has no kernels of ours
        method = "native" if kind != "meta" and kernels.sees(first, second) else "conv"
    function = FUNCTIONS[method, geometry.op, want]
    if dtype in HALF and method != "native" and (kind == "cpu" or method in ("gemm", "fft")):
        first, second = first.float(), second.float()
    if autocast_active(kind):
        with torch.autocast(kind, enabled=False):
            result = function(first, second, geometry)
    else:
        result = function(first, second, geometry)
    return result if result.dtype == dtype else result.to(dtype)


def response_to_spectrum(search: Tensor, spectrum: Tensor, task: Task) -> Tensor:
    """The response by fft to a template whose spectrum is known; gradients flow into search."""
    wide = torch.promote_types(search.dtype, torch.float32)
    function = getattr(fft, f"{task.geometry.op}_response_to")
    result: Tensor = function(search.to(wide), spectrum, task.geometry)
    return result.to(search.dtype)


def gradients(
    call: Contract, kept: Sequence[Tensor], grad: Tensor, task: Task, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of both arguments of a contraction, made by `call`; only those needed."""
    given: dict[Want, Tensor] = dict(zip(ARGUMENTS[task.want], kept, strict=True))
    given[task.want] = grad
    results: list[Tensor | None] = []
    for want, wanted in zip(ARGUMENTS[task.want], needed, strict=True):
        first, second = (given[name] for name in ARGUMENTS[want])
        part = Task(want, task.geometry, task.method)
        results.append(call(first, second, part) if wanted else None)
    return results


class Contraction(torch.autograd.Function):
    """Any of the three contractions, with the other two as its gradients."""

    @staticmethod
    def forward(first: Tensor, second: Tensor, task: Task) -> Tensor:
        """The contraction itself."""
        return compute(first, second, task)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Task], output: Tensor) -> None:
        """Keep both arguments; each is needed for the other's gradient."""
        first, second, ctx.task = inputs
        ctx.save_for_backward(first, second)
        ctx.save_for_forward(first, second)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """The other two contractions."""
        needed = ctx.needs_input_grad[:2]
        first, second = gradients(contract, ctx.saved_tensors, grad, ctx.task, needed)
        return first, second, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], first: Tensor, second: Tensor, task: Task
    ) -> tuple[Tensor, int]:
        """A mapped dimension is one more batch: it is folded into the batch and out again."""
        count, geometry = info.batch_size, task.geometry
        batch = geometry.search[0]
        folded = []
        arguments = zip(ARGUMENTS[task.want], (first, second), in_dims[:2], strict=True)
        for name, value, dim in arguments:
            value = value.expand(count, *value.shape) if dim is None else value.movedim(dim, 0)
            if name == "template" and geometry.shared:
                value = value.expand(count, batch, *value.shape[2:])
            folded.append(value.reshape(-1, *value.shape[2:]))
        wide = geometry.resized(
            (count * batch, *geometry.search[1:]), (count * batch, *geometry.template[1:])
        )
        result = contract(folded[0], folded[1], Task(task.want, wide, task.method))
        result = result.reshape(count, batch, *result.shape[1:])
        if task.want == "template" and geometry.shared:
            result = result.sum(1, keepdim=True)
        return result, 0


class ContractionBothModes(Contraction):
    """The same with a forward-mode derivative, which torch.compile refuses to trace."""

    @staticmethod
    def jvp(ctx: Any, first: Tensor | None, second: Tensor | None, _: None) -> Tensor:
        """Forward-mode derivative: linear in both arguments, so one term for each."""
        kept = ctx.saved_tensors
        terms = []
        if first is not None:
            terms.append(contract(first, kept[1], ctx.task))
        if second is not None:
            terms.append(contract(kept[0], second, ctx.task))
        return sum(terms[1:], terms[0])
