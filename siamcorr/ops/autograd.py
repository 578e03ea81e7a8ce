"""Gradients of the correlations, of every order.

A correlation is a form that is linear in three tensors at once, search x, template z and g, the
gradient that comes back for the response:

    T(x, z, g) = sum over i, u of  x[i + u] * z[u] * g[i]

Take away one tensor, and what is left is a contraction of the other two: without g it is the
response, without x the gradient of search, without z the gradient of the template. So the
gradient of each contraction is made of the other two, and that holds again for their gradients:
second and higher orders come from the same three functions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from siamcorr.ops.compute import ARGUMENTS, compute
from siamcorr.ops.shapes import Computed, Task
from siamcorr.ops.torch_versions import transforms_active

Contract = Callable[[Tensor, Tensor, Task], Tensor]


def contract(first: Tensor, second: Tensor, task: Task) -> Tensor:
    """Compute the tensor that task wants from the other two, with gradients of every order."""
    graph = first.requires_grad or second.requires_grad
    rules = torch.compiler.is_compiling() or transforms_active()  # need those of the Function
    if not (graph and torch.is_grad_enabled()) and not rules:
        return compute(first, second, task)  # an autograd.Function costs more than a small product
    kind = Contraction if torch.compiler.is_compiling() else ContractionBothModes
    result: Tensor = kind.apply(first, second, task)  # type: ignore[no-untyped-call]
    return result


def gradients(
    call: Contract, kept: Sequence[Tensor], grad: Tensor, task: Task, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of both arguments of a contraction, made by `call`; only those needed."""
    given: dict[Computed, Tensor] = dict(zip(ARGUMENTS[task.computed], kept, strict=True))
    given[task.computed] = grad
    results: list[Tensor | None] = []
    for computed, wanted in zip(ARGUMENTS[task.computed], needed, strict=True):
        first, second = (given[name] for name in ARGUMENTS[computed])
        part = Task(computed, task.geometry, task.method)
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
        arguments = zip(ARGUMENTS[task.computed], (first, second), in_dims[:2], strict=True)
        for name, value, dim in arguments:
            value = value.expand(count, *value.shape) if dim is None else value.movedim(dim, 0)
            if name == "template" and geometry.shared:
                value = value.expand(count, batch, *value.shape[2:])
            folded.append(value.reshape(-1, *value.shape[2:]))
        wide = geometry.resized(
            (count * batch, *geometry.search[1:]), (count * batch, *geometry.template[1:])
        )
        result = contract(folded[0], folded[1], Task(task.computed, wide, task.method))
        result = result.reshape(count, batch, *result.shape[1:])
        if task.computed == "template" and geometry.shared:
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
