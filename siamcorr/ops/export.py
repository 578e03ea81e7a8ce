"""Correlation in exported graphs, with operators that every runtime supports.

As a convolution, its weight would be the template, which is not a constant; many runtimes refuse
that. So the graph contains slices, matrix products and sums, unless a convolution is requested.
Sizes may be symbolic: there is no tiling, and the batch may vary.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops.autograd import contract
from siamcorr.ops.compute import HALF
from siamcorr.ops.shapes import Geometry, Task

Correlation = Literal["auto", "matmul", "conv"]

_forms: list[Correlation] = ["auto"]


@contextmanager
def use_export_form(correlation: Correlation) -> Iterator[None]:
    """Choose the form that method "auto" takes in graphs exported inside this context.

    Args:
        correlation: "conv" is Conv, with the template as its weight; "matmul" is MatMul, with
            slices and sums; "auto" is what every runtime supports, currently "matmul".

    Raises:
        ValueError: another value.
    """
    if correlation not in get_args(Correlation):
        known = ", ".join(get_args(Correlation))
        raise ValueError(f"correlation must be one of {known}, got {correlation!r}")
    _forms.append(correlation)
    try:
        yield
    finally:
        _forms.pop()


def contract_for_export(search: Tensor, template: Tensor, task: Task) -> Tensor:
    """Compute the response with plain operators; half precision is summed in float32."""
    if task.method == "conv" or (task.method == "auto" and _forms[-1] == "conv"):
        return contract(search, template, task._replace(method="conv"))
    response = _batched if task.geometry.op == "batched" else _depthwise
    dtype = search.dtype
    if dtype in HALF:
        search, template = search.float(), template.float()
    return response(search, template, task.geometry).to(dtype)


def _batched(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, O*C, h, w) -> (B, O, H', W'): `methods.gemm` without tiling."""
    (_, _, height, width), (count, _, h, w) = geometry.search, geometry.template
    _, outputs, rows, columns = geometry.response
    cells = template.reshape(count, outputs, geometry.search[1], h * w)
    matrix = cells.transpose(2, 3).flatten(1, 2)  # (B or 1, O*h*w, C)
    y = (matrix @ search.flatten(2)).reshape(-1, outputs * h, w, height * width)
    y = _shifted_sum(y, geometry.dilation, height * width)
    y = y.reshape(-1, outputs, h, height * width)
    y = _shifted_sum(y, geometry.dilation * width, rows * width)
    return y.reshape(-1, outputs, rows, width)[..., :columns]


def _depthwise(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, C, h, w) -> (B, C, H', W'): a product over v, a sum over u."""
    (_, channels, height, _), (_, _, _, w) = geometry.search, geometry.template
    _, _, rows, columns = geometry.response
    d = geometry.dilation
    beside = torch.cat([search.narrow(3, v * d, columns) for v in range(w)], 2)
    y = template @ beside.reshape(-1, channels, w, height * columns)  # (B, C, h, H*W')
    return _shifted_sum(y, d * columns, rows * columns).reshape(-1, channels, rows, columns)


def _shifted_sum(y: Tensor, step: int, size: int) -> Tensor:
    """Sum over k of y[..., k, k*step : k*step + size]; (B, C, n, P) -> (B, C, size).

    One layer behind the other, cut into n parts that are longer by one step: each part then starts
    one step later in its layer. So it takes one sum, whatever n is. An interval that passes the end
    of its layer reads the next one.
    """
    _, channels, n, length = y.shape
    cut = F.pad(y.flatten(2), (0, n * step)).reshape(-1, channels, n, length + step)
    return cut[..., :size].sum(2)
