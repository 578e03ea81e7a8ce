"""What a call comes to, worked out once: it depends on sizes, dtype, device and options alone.

A small correlation takes a tenth of a millisecond. Checks and plans in Python would be a fair
share of that, the more so as a large tensor drives them out of the processor's cache; so a call
like one before goes straight to its method.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops.contract import Method, Padding, check_call, check_scale
from siamcorr.ops.contraction import FUNCTIONS, HALF, Task, contract, transformed
from siamcorr.ops.geometry import AnyOp, Geometry
from siamcorr.ops.methods import native
from siamcorr.ops.opaque import contract_in_graph
from siamcorr.ops.plan import choose
from siamcorr.ops.torch_versions import autocast_active, tracing

KEPT = 4096  # calls that are remembered


class Call(NamedTuple):
    """A checked call.

    sides: zeros around search, as F.pad takes them; None for none.
    function: the method's own, where nothing stands between; None where `contract` has to see
        to precision or to an empty batch.
    pads: whether function takes search without the zeros, and needs no copy with them.
    """

    sides: list[int] | None
    task: Task
    function: Callable[[Tensor, Tensor, Geometry], Tensor] | None
    pads: bool = False


_calls: dict[tuple[object, ...], Call] = {}


def correlate(
    op: AnyOp,
    search: Tensor,
    template: Tensor,
    padding: Padding,
    dilation: int,
    scale: float,
    method: Method,
) -> Tensor:
    """Check, pad, scale, and hand over to the method, or to the contraction with gradients."""
    call = _call(op, search, template, padding, dilation, method)
    _, task, function, pads = call
    compiling = torch.compiler.is_compiling()
    if function is not None and not compiling:
        graph = torch.is_grad_enabled() and (search.requires_grad or template.requires_grad)
        if graph or transformed() or autocast_active(search.device.type):
            function = None
    if call.sides and not (function and pads):
        search = F.pad(search, call.sides)
    if type(scale) is not float:
        check_scale(f"xcorr_{op}", scale)
    if scale != 1.0:
        template = template * scale
    if op == "naive":  # O templates for all are one batch of O*C channels that is shared
        template = template.reshape(task.geometry.template)
    if compiling:
        return contract_in_graph(search, template, task)
    if function is None:
        return contract(search, template, task)
    return function(search, template, task.geometry)


def _call(
    op: AnyOp, search: Tensor, template: Tensor, padding: Padding, dilation: int, method: Method
) -> Call:
    arguments = op, search, template, padding, dilation, method
    if torch.compiler.is_compiling() or tracing():  # a graph is made once, and is the memory
        return _work_out(*arguments)
    try:
        kinds = search.dtype, template.dtype, search.device, template.device
        options = padding, padding.__class__, dilation, dilation.__class__, method  # 1.0 is not 1
        key = op, search.shape, template.shape, kinds, options
        known = _calls.get(key)
    except (AttributeError, TypeError):  # no tensors, or no options: the checks say which
        return _work_out(*arguments)
    if known is None:
        known = _work_out(*arguments)
        if len(_calls) >= KEPT:
            _calls.clear()
        _calls[key] = known
    return known


def _work_out(
    op: AnyOp, search: Tensor, template: Tensor, padding: Padding, dilation: int, method: Method
) -> Call:
    sides, geometry = check_call(op, search, template, padding, dilation, method)
    if not torch.compiler.is_compiling() and tracing():
        geometry = geometry.fixed()  # its sizes are tensors
    task = Task("response", geometry, method)
    kind = search.device.type
    if torch.compiler.is_compiling() or kind == "meta" or not len(search) or search.dtype in HALF:
        return Call(sides, task, None)
    chosen = choose("response", geometry, search.dtype, kind) if method == "auto" else method
    if chosen == "native" and sides:
        return Call(sides, task, partial(native.padded_response, sides=sides), pads=True)
    return Call(sides, task, FUNCTIONS[chosen, geometry.op, "response"])
