"""The contraction as one opaque operator for torch.compile.

If torch.compile traced into it, all sizes would become constants of the graph, because plans and
tiles need integers; each added target would recompile the tracker. An opaque operator is planned
when it runs, so one graph serves every batch.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from siamcorr.ops.autograd import gradients
from siamcorr.ops.compute import compute
from siamcorr.ops.shapes import Computed, Geometry, Op, Task


def contract_opaque(first: Tensor, second: Tensor, task: Task) -> Tensor:
    """Call the opaque operator, with gradients of every order."""
    computed, geometry, method = task
    search, template = [*geometry.search], [*geometry.template]
    result: Tensor = _contract(
        first, second, computed, geometry.op, search, template, geometry.dilation, method
    )
    return result


# An explicit schema, because torch versions differ in the annotations that they can read.
SCHEMA = """(Tensor first, Tensor second, str computed, str op, SymInt[] search, SymInt[] template,
    SymInt dilation, str method) -> Tensor"""


@torch.library.custom_op("siamcorr::contract", mutates_args=(), schema=SCHEMA)
def _contract(
    first: Tensor,
    second: Tensor,
    computed: str,
    op: str,
    search: Sequence[int],
    template: Sequence[int],
    dilation: int,
    method: str,
) -> Tensor:
    """A task in types that an operator can take; the result is contiguous, like the fake one."""
    return compute(
        first, second, _task(computed, op, search, template, dilation, method)
    ).contiguous()


def _fake(first: Tensor, second: Tensor, *sizes: Any) -> Tensor:
    task = _task(*sizes)
    return first.new_empty(getattr(task.geometry, task.computed))


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.task = _task(*inputs[2:])


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    kept, needed = ctx.saved_tensors, ctx.needs_input_grad
    return *gradients(contract_opaque, kept, grad, ctx.task, needed[:2]), *6 * (None,)


def _task(computed: str, op: str, search: Any, template: Any, dilation: int, method: str) -> Task:
    geometry = Geometry(cast(Op, op), tuple(search), tuple(template), dilation)
    return Task(cast(Computed, computed), geometry, method)


_contract.register_fake(_fake)
_contract.register_autograd(_backward, setup_context=_save_inputs)
