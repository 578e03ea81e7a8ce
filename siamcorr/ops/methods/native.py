"""Correlation by our own C++ kernels, for the CPU, if the package was built with them.

A block of the response stays in registers during the loop over all template cells: no padding,
copy or fold, and no unneeded product. All six contractions are the same job,

    out[n0, n1, n2] = sum over k of the correlation of a plane of x with a plane of z

with different planes and steps. `conv` computes what the kernels cannot read, such as tracing or
fake tensors.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops import kernels
from siamcorr.ops.kernels import (
    DTYPES,
    Form,
    PackedJob,
    Planes,
    Sides,
    can_read,
    can_read_eager,
    pack,
    run,
)
from siamcorr.ops.methods import conv
from siamcorr.ops.shapes import Computed, Geometry

MAX_JOBS = 4096  # size of the cache
LANES = 16  # numbers in the longest vectors, for the planner

_jobs: dict[tuple[object, ...], PackedJob] = {}


def batched_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, O*C, h, w), pair by pair -> (B, O, H', W')."""
    return _contract("response", search, template, geometry)


def batched_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, O*C, h, w) with (B, O, H', W'), the full correlation -> (B, C, H, W)."""
    return _contract("search", grad, template, geometry)


def batched_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, O, H', W'), each channel with each -> (B or 1, O*C, h, w)."""
    return _contract("template", search, grad, geometry)


def depthwise_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, C, h, w), channel by channel -> (B, C, H', W')."""
    return _contract("response", search, template, geometry)


def depthwise_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, C, h, w) with (B, C, H', W'), the full correlation -> (B, C, H, W)."""
    return _contract("search", grad, template, geometry)


def depthwise_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, C, H', W'), channel by channel -> (B or 1, C, h, w)."""
    return _contract("template", search, grad, geometry)


def eager_response(sides: list[int] | None) -> Callable[[Tensor, Tensor, Geometry], Tensor]:
    """Make the function for a geometry that includes `sides`, the zeros around search.

    It takes the unpadded search, and keeps the job of the last call, because to look it up takes
    as long as a small response. Neither torch.compile nor torch.func may be active.
    """
    pad = tuple(sides or ())
    last: tuple[object, PackedJob] | None = None

    def respond(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
        nonlocal last
        # A search without cells is padded first: the kernels need a plane.
        readable = kernels.module is not None and can_read_eager(search, template)
        if not readable or (pad and not search.numel()):
            padded = F.pad(search, pad) if pad else search
            return _contract("response", padded, template, geometry)
        strides = search.stride(), template.stride(), template.dtype
        known = last
        if known is None or known[0] != strides:
            known = last = strides, _job("response", search, template, geometry, pad)
        return run(known[1], search, template)

    return respond


def _contract(computed: str, x: Tensor, z: Tensor, geometry: Geometry) -> Tensor:
    if kernels.module is None or x.device.type != "cpu":
        raise ValueError(
            f'method "native" needs the C++ kernels and a CPU, got {x.device}'
            + ("" if kernels.module is not None else " without kernels")
        )
    if not can_read(x, z):
        first, second = (z, x) if computed == "search" else (x, z)
        function = getattr(conv, f"{geometry.op}_{computed}")
        result: Tensor = function(first, second, geometry)
        return result
    return run(_job(computed, x, z, geometry), x, z)


def _job(
    computed: str, x: Tensor, z: Tensor, geometry: Geometry, sides: tuple[int, ...] = ()
) -> PackedJob:
    """Look up the job of a contraction, or pack it."""
    key = computed, geometry, sides, x.shape, x.stride(), z.shape, z.stride(), x.dtype, z.dtype
    packed = _jobs.get(key)
    if packed is None:
        packed = _pack_job(computed, x, z, geometry, sides)
        if len(_jobs) >= MAX_JOBS:
            _jobs.clear()
        _jobs[key] = packed
    return packed


def _pack_job(
    computed: str, x: Tensor, z: Tensor, geometry: Geometry, sides: tuple[int, ...]
) -> PackedJob:
    """Pack the job of a contraction; check that its tensors fit the geometry."""
    left, right, top, bottom = sides or (0, 0, 0, 0)
    b, c, h, w = geometry.search
    x_shape: tuple[int, ...] = (b, c, h - top - bottom, w - left - right)
    z_shape: tuple[int, ...] = geometry.template
    if computed == "search":
        x_shape = geometry.response
    elif computed == "template":
        z_shape = geometry.response
    same = x.shape == x_shape and z.shape == tuple(z_shape) and x.dtype == z.dtype
    if not same or x.dtype not in DTYPES or z.device.type != "cpu":
        raise ValueError(
            f'method "native": {computed} of {geometry} takes {x_shape} and {tuple(z_shape)} '
            f"of one dtype, got {tuple(x.shape)} {x.dtype} and {tuple(z.shape)} {z.dtype}"
        )
    planes, form = _plan(computed, x, z, geometry, (top, left))
    return pack(planes, form, tuple(getattr(geometry, computed)), x, z)


def _plan(
    computed: str, x: Tensor, z: Tensor, geometry: Geometry, pad: Sides
) -> tuple[Planes, Form]:
    """The planes and the geometry of a contraction's job."""
    b, c = geometry.search[:2]
    o, d = geometry.outputs, (geometry.dilation, geometry.dilation)
    (xb, xc), (zb, zc) = x.stride()[:2], z.stride()[:2]
    depthwise, shared = geometry.op == "depthwise", geometry.shared
    if computed == "template":  # the dilation of the template becomes a stride
        form = Form((geometry.template[2], geometry.template[3]), stride=d)
        k, xk, zk = (b, xb, zb) if shared else (1, 0, 0)
        n = geometry.template[0]
        if depthwise:
            return Planes((n, 1, c, k), (xb, 0, xc, xk), (zb, 0, zc, zk)), form
        return Planes((n, o, c, k), (xb, 0, xc, xk), (zb, zc, 0, zk)), form
    own = 0 if geometry.template[0] == 1 else zb
    if computed == "response":
        rows, columns = geometry.response[2:]
        form = Form((rows, columns), pad, dilation=d)
        if depthwise:
            return Planes((b, 1, c, 1), (xb, 0, xc, 0), (own, 0, zc, 0)), form
        return Planes((b, o, 1, c), (xb, 0, 0, xc), (own, zc * c, 0, zc)), form
    rows, columns = geometry.extent[0] - 1, geometry.extent[1] - 1
    form = Form(geometry.search[2:], (rows, columns), dilation=d, rotated=True)  # type: ignore[arg-type]
    if depthwise:
        return Planes((b, 1, c, 1), (xb, 0, xc, 0), (own, 0, zc, 0)), form
    return Planes((b, 1, c, o), (xb, 0, 0, xc), (own, 0, zc, zc * c)), form


def work(geometry: Geometry, computed: Computed) -> list[float]:
    """Calls, planes, multiplications by columns and by products, sums, elements, for the planner.

    Lanes that stay empty count as multiplications, too: rows of columns are filled up to vectors of
    `LANES` numbers, or their last columns are computed apart. A small output of a large template is
    computed by products. In the gradients of batched correlation the lanes are channels. The rules
    are those of variant.h, left_over.h and shared.h.
    """
    rows, columns = getattr(geometry, computed)[2:]
    h, w = (geometry.response if computed == "template" else geometry.template)[2:]
    planes = geometry.search[0] * geometry.search[1] * geometry.outputs
    strided = computed == "template" and geometry.dilation > 1
    by_columns = by_products = sums = 0
    channels = geometry.search[1]
    if geometry.op == "batched" and computed != "response" and channels >= LANES and not strided:
        pairs = geometry.response[2] * h * w * columns  # rows of zeros around the response count 0
        if computed == "template":
            pairs = rows * columns * h * w
        by_columns = 2 * pairs * _filled(channels) // channels
    elif columns < LANES and w >= columns and (computed == "template" or geometry.dilation == 1):
        by_products, sums = 2 * rows * columns * h * _filled(w), rows * columns
    else:
        rest, wide = columns % LANES, _filled(w)
        along = rows * w * _filled(columns)
        if columns > LANES and geometry.dilation == 1 and 2 * rest * wide < w * LANES:
            along = rows * (w * (columns - rest) + 2 * rest * wide)
        by_columns = 2 * h * along
    counts = planes, planes * by_columns, planes * by_products, planes * sums
    return [1.0, *map(float, counts), geometry.elements]


def _filled(columns: int) -> int:
    return -(-columns // LANES) * LANES
