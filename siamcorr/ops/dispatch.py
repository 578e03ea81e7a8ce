"""Dispatch a checked call: directly to a method, to autograd, or to an operator in a graph.

Only this module decides how a call runs:

    eager, without gradients       the method's own function
    eager, with gradients          `autograd.contract`; also half precision, autocast, torch.func
    torch.compile                  `torch_library.contract_opaque`, one node of the graph
    torch.export                   `export.contract_for_export`, plain operators
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops import kernels
from siamcorr.ops.autograd import contract
from siamcorr.ops.checks import Signature
from siamcorr.ops.compute import FUNCTIONS, HALF
from siamcorr.ops.export import contract_for_export
from siamcorr.ops.methods import native
from siamcorr.ops.plan import choose
from siamcorr.ops.shapes import Geometry, Task
from siamcorr.ops.torch_library import contract_opaque
from siamcorr.ops.torch_versions import (
    GRAPHS_READ_SYMBOLS,
    autocast_active,
    exporting,
    forward_mode_active,
    transforms_active,
)


class Plan(NamedTuple):
    """How calls of one signature run.

    function: the method's function, to be called directly; None if `compute` must handle half
        precision, an empty batch or the meta device.
    pads: whether function pads by itself and takes the unpadded search.
    """

    function: Callable[[Tensor, Tensor, Geometry], Tensor] | None
    pads: bool = False


def dispatch(search: Tensor, template: Tensor, scale: float, call: Signature) -> Tensor:
    """Compute the response for checked tensors: pad, scale, run.

    Args:
        search: (B, C, H, W), not yet padded.
        template: as the operator takes it.
        scale: multiplies the template.
        call: the checked call.
    """
    task, function, pads = call.task, None, False
    if not torch.compiler.is_compiling():
        if call.plan is None:
            call.plan = _plan(search, call)
        function, pads = call.plan
        wanted = torch.is_grad_enabled() and (search.requires_grad or template.requires_grad)
        if wanted or transforms_active() or autocast_active(call.kind):
            function = None
    if scale != 1.0:
        template = template * scale
    if call.op == "naive":  # O templates for all searches: one shared template of O*C channels
        template = template.reshape(task.geometry.template)
    if function is None:
        return run(search, template, task, call.sides)
    if call.sides and not pads:
        search = F.pad(search, call.sides)
    return function(search, template, task.geometry)


def run(search: Tensor, template: Tensor, task: Task, sides: list[int] | None = None) -> Tensor:
    """Compute the response for scaled tensors, with gradients, eager or in a graph.

    torch.compile traces into method conv, which needs no plan. It also traces into every method
    under torch.func and forward-mode derivatives, which do not support our opaque operator.

    Args:
        search: (B, C, H, W).
        template: as the method takes it.
        task: for the padded search.
        sides: zeros to put around search, as F.pad takes them.
    """
    compiling = torch.compiler.is_compiling()
    if compiling and exporting():
        return contract_for_export(search, template, task, sides)
    if sides:
        search = F.pad(search, sides)
    if not compiling:
        return contract(search, template, task)
    open_graph = task.method == "conv" and GRAPHS_READ_SYMBOLS
    if open_graph or forward_mode_active() or transforms_active():
        return contract(search, template, task)
    return contract_opaque(search, template, task)


def _plan(search: Tensor, call: Signature) -> Plan:
    """Plan the calls of a signature, with its own method or the planner's."""
    (_, geometry, method), kind = call.task, call.kind
    if kind == "meta" or not len(search) or search.dtype in HALF:
        return Plan(None)
    chosen = choose("response", geometry, search.dtype, kind) if method == "auto" else method
    if chosen == "native" and kernels.available(kind):
        return Plan(native.eager_response(call.sides), pads=True)
    return Plan(FUNCTIONS[chosen, geometry.op, "response"])
