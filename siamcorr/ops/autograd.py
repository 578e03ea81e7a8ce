"""Gradients of the correlations, of every order.

A correlation defines a form that is linear in three tensors: search x, template z and g, the
gradient of the response:

    T(x, z, g) = sum over i, u of  x[i + u] * z[u] * g[i]

Its derivative with respect to one tensor is a contraction of the other two: for g the response,
for x the gradient of search, for z the gradient of the template. So the gradients of each
contraction are the other two contractions, and gradients of second and higher order come from the
same three functions.
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
    """Compute the tensor that task names from the other two, with gradients of every order."""
    graph = first.requires_grad or second.requires_grad
    rules = torch.compiler.is_compiling() or transforms_active()  # these need the Function's rules
    if not (graph and torch.is_grad_enabled()) and not rules:
        return compute(first, second, task)  # an autograd.Function costs more than a small product
    kind = Contraction if torch.compiler.is_compiling() else ContractionBothModes
    result: Tensor = kind.apply(first, second, task)  # type: ignore[no-untyped-call]
    return result


def gradients(
    call: Contract, kept: Sequence[Tensor], grad: Tensor, task: Task, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Compute the needed gradients of both arguments of a contraction, by `call`."""
    given: dict[Computed, Tensor] = dict(zip(ARGUMENTS[task.computed], kept, strict=True))
    given[task.computed] = grad
    results: list[Tensor | None] = []
    for computed, wanted in zip(ARGUMENTS[task.computed], needed, strict=True):
        first, second = (given[name] for name in ARGUMENTS[computed])
        part = Task(computed, task.geometry, task.method)
        results.append(call(first, second, part) if wanted else None)
    return results


class Contraction(torch.autograd.Function):
    """One of the three contractions, with the other two as its gradients."""

    @staticmethod
    def forward(first: Tensor, second: Tensor, task: Task) -> Tensor:
        """The contraction itself."""
        return compute(first, second, task)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Task], output: Tensor) -> None:
        """Save both arguments; each is needed for the other's gradient."""
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
        """Fold the mapped dimension into the batch, contract, and unfold it."""
        count, geometry = info.batch_size, task.geometry
        batch = geometry.search[0]
        folded = []
        arguments = zip(ARGUMENTS[task.computed], (first, second), in_dims[:2], strict=True)
        for name, value, dim in arguments:
            value = value.expand(count, *value.shape) if dim is None else value.movedim(dim, 0)
            if name == "template" and geometry.shared:
                value = value.expand(count, batch, *value.shape[2:])
            folded.append(value.reshape(-1, *value.shape[2:]))
        wide = geometry.with_sizes(
            (count * batch, *geometry.search[1:]), (count * batch, *geometry.template[1:])
        )
        result = contract(folded[0], folded[1], Task(task.computed, wide, task.method))
        result = result.reshape(count, batch, *result.shape[1:])
        if task.computed == "template" and geometry.shared:
            result = result.sum(1, keepdim=True)
        return result, 0


class ContractionBothModes(Contraction):
    """`Contraction` with a forward-mode derivative, which torch.compile cannot trace."""

    @staticmethod
    def jvp(ctx: Any, first: Tensor | None, second: Tensor | None, _: None) -> Tensor:
        """Forward-mode derivative: one term per argument, because both are linear."""
        kept = ctx.saved_tensors
        terms = []
        if first is not None:
            terms.append(contract(first, kept[1], ctx.task))
        if second is not None:
            terms.append(contract(kept[0], second, ctx.task))
        return sum(terms[1:], terms[0])
