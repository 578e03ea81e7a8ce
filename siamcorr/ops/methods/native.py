"""Correlation by C++ kernels of our own, for the CPU, where the package was built with them.

A block of the response stays in registers while all template cells pass by: nothing is padded,
copied or folded, and no product is made that does not count. All six contractions are one job,

    out[n0, n1, n2] = sum over k of the correlation of a plane of x with a plane of z

with other planes and steps. What the kernels cannot see, such as a trace or a fake tensor, goes to
`conv`.
"""

import ctypes
import os
import struct
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from siamcorr.ops.geometry import Geometry
from siamcorr.ops.methods import conv
from siamcorr.ops.torch_versions import (
    dispatch_modes,
    forward_mode_active,
    tracing,
    transforms_active,
)

LAYOUT = struct.Struct("31q")  # `Job` in native/job.h
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)  # in the order of `Dtype`
ACTIVATIONS = (None, "relu", "relu6", "hardswish")  # in the order of `Activation`
PLAIN = (Tensor, torch.nn.Parameter)
ALONE = 400_000  # FLOPs below which other threads take longer to wake than to help
KEPT = 4096  # jobs that are remembered

Sides = tuple[int, int]


def _load() -> ModuleType | None:
    """The compiled module with its variant chosen, if it was built and is not left out."""
    wanted = os.environ.get("SIAMCORR_NATIVE", "1")
    if wanted == "0":
        return None
    try:
        module = import_module("siamcorr.ops._native")
    except ImportError:
        return None
    variants = module.variants()
    module.choose(wanted if wanted in variants else variants[0])
    module.use_threads(_torch_threads())
    if hasattr(os, "register_at_fork"):  # threads do not outlive a fork, and GNU's wait for them
        os.register_at_fork(after_in_child=partial(module.use_threads, 0))
    return module


def _torch_threads() -> int:
    """Where GOMP_parallel is in the OpenMP runtime that torch has loaded; 0 for nowhere."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    library = Path(torch.__file__).parent / "lib" / f"libtorch_cpu.{suffix}"
    try:
        loaded = ctypes.CDLL(str(library), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        function = loaded.GOMP_parallel  # looked up in what torch itself is linked to
    except (AttributeError, OSError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


_module = _load()
VARIANT: str | None = None if _module is None else _module.variant()  # None: not here


def available(device_type: str) -> bool:
    """Whether this method runs on a type of device: on "cpu", if it was built."""
    return _module is not None and device_type == "cpu"


class Planes(NamedTuple):
    """What a job reads, and in which order: see `Job` in native/job.h.

    size: n0, n1, n2, k. x_step, z_step: elements from plane to plane, along each of these.
    """

    size: tuple[int, int, int, int]
    x_step: tuple[int, int, int, int]
    z_step: tuple[int, int, int, int]


class Form(NamedTuple):
    """How the cells of x, z and out meet.

    pad: zeros above and left of x. stride, dilation: rows, columns. turned: whether z's rows and
    columns are read from the end.
    """

    out_size: Sides
    pad: Sides = (0, 0)
    stride: Sides = (1, 1)
    dilation: Sides = (1, 1)
    turned: bool = False


class Ready(NamedTuple):
    """A job as the kernels take it.

    turn: bytes from the template's first cell to its last, where it is read from the end.
    """

    job: bytes
    turn: int
    shape: tuple[int, ...]
    channels_last: bool
    alone: bool


_jobs: dict[tuple[object, ...], Ready] = {}


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


def padded_response(
    search: Tensor, template: Tensor, geometry: Geometry, sides: list[int]
) -> Tensor:
    """The response to a search that is yet to be padded; the geometry knows of the padding."""
    if not sees(search, template):
        search = torch.nn.functional.pad(search, sides)
        function = getattr(conv, f"{geometry.op}_response")
        result: Tensor = function(search, template, geometry)
        return result
    return _contract("response", search, template, geometry, tuple(sides))


def sees(x: Tensor, z: Tensor) -> bool:
    """Whether these are tensors with memory of their own, and nobody follows what is done to them.

    Traces, dispatch modes and other classes of tensors would miss what the kernels do.
    """
    return (
        not torch.compiler.is_compiling()
        and type(x) in PLAIN
        and type(z) in PLAIN
        and not dispatch_modes()
        and not forward_mode_active()
        and not transforms_active()
        and not tracing()
    )


def _contract(
    want: str, x: Tensor, z: Tensor, geometry: Geometry, sides: tuple[int, ...] = ()
) -> Tensor:
    if _module is None or x.device.type != "cpu":
        raise ValueError(
            f'method "native" needs the C++ kernels and a CPU, got {x.device}'
            + ("" if _module is not None else " without kernels")
        )
    if not sees(x, z):
        first, second = (z, x) if want == "search" else (x, z)
        function = getattr(conv, f"{geometry.op}_{want}")
        result: Tensor = function(first, second, geometry)
        return result
    key = want, geometry, sides, x.shape, x.stride(), z.shape, z.stride(), x.dtype, z.dtype
    ready = _jobs.get(key)
    if ready is None:
        ready = _prepare(want, x, z, geometry, sides)
        if len(_jobs) >= KEPT:
            _jobs.clear()
        _jobs[key] = ready
    return _run(ready, x, z)


def _run(ready: Ready, x: Tensor, z: Tensor, bias: Tensor | None = None) -> Tensor:
    assert _module is not None
    job, turn, shape, channels_last, alone = ready
    if x.is_neg():
        x = x.resolve_neg()
    if z.is_neg():
        z = z.resolve_neg()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    out = torch.empty(shape, dtype=x.dtype, memory_format=layout)
    if not out.numel():
        return out
    threads = 1 if alone else torch.get_num_threads()
    given = 0 if bias is None else bias.data_ptr()
    _module.run(job, x.data_ptr(), z.data_ptr() + turn, given, out.data_ptr(), threads)
    return out


def _prepare(want: str, x: Tensor, z: Tensor, geometry: Geometry, sides: tuple[int, ...]) -> Ready:
    """The job of a contraction, after a look at whether its tensors are what the geometry says."""
    left, right, top, bottom = sides or (0, 0, 0, 0)
    b, c, h, w = geometry.search
    x_shape: tuple[int, ...] = (b, c, h - top - bottom, w - left - right)
    z_shape: tuple[int, ...] = geometry.template
    if want == "search":
        x_shape = geometry.response
    elif want == "template":
        z_shape = geometry.response
    same = x.shape == x_shape and z.shape == tuple(z_shape) and x.dtype == z.dtype
    if not same or x.dtype not in DTYPES or z.device.type != "cpu":
        raise ValueError(
            f'method "native": {want} of {geometry} takes {x_shape} and {tuple(z_shape)} '
            f"of one dtype, got {tuple(x.shape)} {x.dtype} and {tuple(z.shape)} {z.dtype}"
        )
    planes, form = _plan(want, x, z, geometry, (top, left))
    return _pack(planes, form, tuple(getattr(geometry, want)), x, z)


def _plan(want: str, x: Tensor, z: Tensor, geometry: Geometry, pad: Sides) -> tuple[Planes, Form]:
    """Which planes meet, and how, for a contraction."""
    b, c = geometry.search[:2]
    o, d = geometry.outputs, (geometry.dilation, geometry.dilation)
    (xb, xc), (zb, zc) = x.stride()[:2], z.stride()[:2]
    depthwise, shared = geometry.op == "depthwise", geometry.shared
    if want == "template":  # the cells of a dilated template lie apart: a stride
        form = Form((geometry.template[2], geometry.template[3]), stride=d)
        k, xk, zk = (b, xb, zb) if shared else (1, 0, 0)
        n = geometry.template[0]
        if depthwise:
            return Planes((n, 1, c, k), (xb, 0, xc, xk), (zb, 0, zc, zk)), form
        return Planes((n, o, c, k), (xb, 0, xc, xk), (zb, zc, 0, zk)), form
    own = 0 if geometry.template[0] == 1 else zb
    if want == "response":
        rows, columns = geometry.response[2:]
        form = Form((rows, columns), pad, dilation=d)
        if depthwise:
            return Planes((b, 1, c, 1), (xb, 0, xc, 0), (own, 0, zc, 0)), form
        return Planes((b, o, 1, c), (xb, 0, 0, xc), (own, zc * c, 0, zc)), form
    rows, columns = geometry.extent[0] - 1, geometry.extent[1] - 1
    form = Form(geometry.search[2:], (rows, columns), dilation=d, turned=True)  # type: ignore[arg-type]
    if depthwise:
        return Planes((b, 1, c, 1), (xb, 0, xc, 0), (own, 0, zc, 0)), form
    return Planes((b, 1, c, o), (xb, 0, 0, xc), (own, 0, zc, zc * c)), form


def _pack(
    planes: Planes, form: Form, shape: tuple[int, ...], x: Tensor, z: Tensor, activation: int = 0
) -> Ready:
    """The job in the bytes of `Job`."""
    z_size, z_cell = (z.shape[2], z.shape[3]), (z.stride(2), z.stride(3))
    turn = 0
    if form.turned:
        turn = (z_size[0] - 1) * z_cell[0] + (z_size[1] - 1) * z_cell[1]
        z_cell = -z_cell[0], -z_cell[1]
    count = planes.size
    channels_last = planes.x_step[2] == 1 < count[2] and count[1] == count[3] == 1
    channels_last = channels_last and x.stride(3) != 1
    job = LAYOUT.pack(
        *count,
        *planes.x_step,
        *planes.z_step,
        *(x.shape[2], x.shape[3], x.stride(2), x.stride(3)),
        *z_size,
        *z_cell,
        *form.out_size,
        *form.pad,
        *form.stride,
        *form.dilation,
        DTYPES.index(x.dtype),
        channels_last,
        activation,
    )
    cells = form.out_size[0] * form.out_size[1] * z_size[0] * z_size[1]
    flops = 2 * cells * count[0] * count[1] * count[2] * count[3]
    return Ready(job, turn * x.element_size(), shape, channels_last, flops < ALONE)


def work(geometry: Geometry) -> list[float]:
    """Calls, multiplications and elements, for the planner."""
    return [1.0, float(geometry.flops), geometry.elements]
