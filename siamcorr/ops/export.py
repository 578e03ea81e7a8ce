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
    """`_depthwise` as a product of two matrices per channel, for narrow responses.

    The left one is search, once for each template row, in rows that are shifted by it. The right
    one places the template's rows, one beside the other, in bands: column j holds them where they
    touch search in response column j. Both are products with matrices of ones and zeros, which
    know the padding. So nothing is sliced or copied, but there are more products.
    """
    (_, channels, _, _), (_, _, h, w) = geometry.search, geometry.template
    (height, width), (_, _, rows, columns) = search.shape[2:], geometry.response
    down = _places(height, rows, h, geometry.dilation, sides[2]).transpose(1, 2)  # (H', h, H)
    right = _places(width, columns, w, geometry.dilation, sides[0]).permute(2, 1, 0)  # (w, W, W')
    shifted = down.flatten(0, 1).to(search) @ search  # (B, C, H'*h, W)
    bands = template @ right.flatten(1).to(template)  # (B, C, h, W*W')
    shifted = shifted.reshape(-1, channels, rows, h * width)
    return shifted @ bands.reshape(-1, channels, h * width, columns)


def _places(size: int, outputs: int, n: int, dilation: int, padding: int) -> Tensor:
    """Whether search cell a is under template cell k at output i: (outputs, size, n)."""
    starts, cells = torch.arange(outputs)[:, None, None], torch.arange(size)[:, None]
    return cells + padding == starts + dilation * torch.arange(n)


def _shifted_sum(y: Tensor, step: int, size: int) -> Tensor:
    """Sum over k of y[..., k, k*step : k*step + size]; (B, C, n, P) -> (B, C, size).

    One layer behind the other, cut into n parts that are longer by one step: each part then starts
    one step later in its layer. So it takes one sum, whatever n is. An interval that passes the end
    of its layer reads the next one.
    """
    _, channels, n, length = y.shape
    cut = F.pad(y.flatten(2), (0, n * step)).reshape(-1, channels, n, length + step)
    return cut[..., :size].sum(2)
