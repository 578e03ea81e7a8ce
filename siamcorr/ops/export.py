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

NARROW = 16  # columns of a response up to which a matrix of bands is faster


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


def contract_for_export(
    search: Tensor, template: Tensor, task: Task, sides: list[int] | None = None
) -> Tensor:
    """Compute the response with plain operators; half precision is summed in float32.

    Args:
        search: (B, C, H, W).
        template: (B or 1, channels, h, w).
        task: for the padded search.
        sides: zeros to put around search, as F.pad takes them.
    """
    geometry, dtype = task.geometry, search.dtype
    by_conv = task.method == "conv" or (task.method == "auto" and _forms[-1] == "conv")
    columns = geometry.response[3]
    if dtype in HALF and not by_conv:
        search, template = search.float(), template.float()
    if geometry.op != "batched" and not by_conv and isinstance(columns, int) and columns <= NARROW:
        return _banded(search, template, geometry, sides or [0, 0, 0, 0]).to(dtype)
    if sides:
        search = F.pad(search, sides)
    if by_conv:
        return contract(search, template, task._replace(method="conv"))
    response = _batched if geometry.op == "batched" else _depthwise
    return response(search, template, geometry).to(dtype)


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


def _banded(search: Tensor, template: Tensor, geometry: Geometry, sides: list[int]) -> Tensor:
    """`_depthwise` with more products and less copying, for narrow responses.

    Every template row becomes a matrix (W, W') with a band: column j has the row's numbers where
    they touch search in response column j. All template rows are one product: their matrices
    below each other, and for each response row the search rows that it touches beside each other.
    """
    (_, channels, _, _), (_, _, h, w) = geometry.search, geometry.template
    _, _, rows, columns = geometry.response
    d, width = geometry.dilation, search.shape[3]
    touched = torch.arange(width)[:, None] - torch.arange(columns) + sides[0]  # v * d, (W, W')
    places = torch.stack([touched == v * d for v in range(w)]).to(template)  # (w, W, W')
    bands = (template @ places.flatten(1)).reshape(-1, channels, h * width, columns)
    search = F.pad(search, [0, 0, *sides[2:]])
    beside = torch.cat([search.narrow(2, u * d, rows) for u in range(h)], 3)  # (B, C, H', h*W)
    return beside @ bands


def _shifted_sum(y: Tensor, step: int, size: int) -> Tensor:
    """Sum over k of y[..., k, k*step : k*step + size]; (B, C, n, P) -> (B, C, size).

    One layer behind the other, cut into n parts that are longer by one step: each part then starts
    one step later in its layer. So it takes one sum, whatever n is. An interval that passes the end
    of its layer reads the next one.
    """
    _, channels, n, length = y.shape
    cut = F.pad(y.flatten(2), (0, n * step)).reshape(-1, channels, n, length + step)
    return cut[..., :size].sum(2)
