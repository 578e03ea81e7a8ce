"""The C++ kernels as Python calls them: which variant runs on this processor, and a job for it.

A job is planes of x correlated with planes of z, summed over some; see native/job.h. Method
`native` makes its contractions of it, and `siamcorr.layers` a depthwise convolution.
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

Sides = tuple[int, int]


def _load() -> ModuleType | None:
    """The compiled module with its variant chosen, if it was built and is not left out."""
    wanted = os.environ.get("SIAMCORR_NATIVE", "1")
    if wanted == "0":
        return None
    try:
        built = import_module("siamcorr.ops._native")
    except ImportError:
        return None
    variants = built.variants()
    built.choose(wanted if wanted in variants else variants[0])
    built.use_threads(_torch_threads())
    if hasattr(os, "register_at_fork"):  # threads do not outlive a fork, and GNU's wait for them
        os.register_at_fork(after_in_child=partial(built.use_threads, 0))
    return built


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


module = _load()
VARIANT: str | None = None if module is None else module.variant()  # None: not here


def available(device_type: str) -> bool:
    """Whether the kernels run on a type of device: on "cpu", if it was built."""
    return module is not None and device_type == "cpu"


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


def run(ready: Ready, x: Tensor, z: Tensor, bias: Tensor | None = None) -> Tensor:
    """Do a job on tensors of the shapes and strides that it was packed for.

    Args:
        ready: the job.
        x: what is read as planes of x.
        z: what is read as planes of z.
        bias: (n2,), added before the activation, in their dtype.

    Returns:
        The shape that the job was packed with.
    """
    assert module is not None
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
    module.run(job, x.data_ptr(), z.data_ptr() + turn, given, out.data_ptr(), threads)
    return out


def multiply_adds(dtype: int, rounds: int, threads: int) -> float:
    """Run a loop of multiply-adds on registers in each thread, to time it.

    Args:
        dtype: place in `DTYPES`; halves are computed in float32.
        rounds: of the loop.
        threads: that run it, each by itself.

    Returns:
        The FLOPs of all threads.
    """
    assert module is not None
    made: float = module.multiply_add(dtype, rounds, threads)
    return made


def pack(
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
