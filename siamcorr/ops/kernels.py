"""Python interface of the C++ kernels: choose the variant for this processor, pack and run jobs.

A job correlates planes of x with planes of z and sums over some of them, see native/job.h. Method
`native` uses jobs for its contractions, `siamcorr.layers` for depthwise convolution.
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
SINGLE_THREAD_FLOPS = 400_000  # below it, waking other threads costs more than they save

Sides = tuple[int, int]


def _load() -> ModuleType | None:
    """Load the compiled module and choose its variant; None if not built or disabled."""
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
    if hasattr(os, "register_at_fork"):  # threads do not survive a fork; GNU's would wait for them
        os.register_at_fork(after_in_child=partial(built.use_threads, 0))
    return built


def _torch_threads() -> int:
    """Address of GOMP_parallel in torch's OpenMP runtime; 0 if there is none."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    library = Path(torch.__file__).parent / "lib" / f"libtorch_cpu.{suffix}"
    try:
        loaded = ctypes.CDLL(str(library), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        function = loaded.GOMP_parallel  # also searches the libraries that torch links to
    except (AttributeError, OSError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


module = _load()
VARIANT: str | None = None if module is None else module.variant()  # None: no kernels


def available(device_type: str) -> bool:
    """Whether the kernels run on a type of device: on "cpu", if they were built."""
    return module is not None and device_type == "cpu"


class Planes(NamedTuple):
    """The planes that a job reads, and their order; see `Job` in native/job.h.

    size: n0, n1, n2, k. x_step, z_step: elements from plane to plane, along each of these.
    """

    size: tuple[int, int, int, int]
    x_step: tuple[int, int, int, int]
    z_step: tuple[int, int, int, int]


class Form(NamedTuple):
    """Geometry of a job.

    pad: zeros above and left of x. stride, dilation: rows, columns. rotated: whether z is rotated
    by 180 degrees.
    """

    out_size: Sides
    pad: Sides = (0, 0)
    stride: Sides = (1, 1)
    dilation: Sides = (1, 1)
    rotated: bool = False


class PackedJob(NamedTuple):
    """A job in the form that the kernels take.

    offset: bytes from the first to the last cell of a rotated template; 0 if it is not rotated.
    shape, strides: of the result; with strides, PyTorch makes a tensor in half the time.
    """

    job: bytes
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    single_thread: bool


def can_read(x: Tensor, z: Tensor) -> bool:
    """Whether the kernels can read these tensors directly.

    Tracing, dispatch modes and tensor subclasses cannot observe what the kernels do. The memory of
    a negated view, such as the imaginary part of a conjugate, has the wrong signs.
    """
    return not torch.compiler.is_compiling() and not transforms_active() and can_read_eager(x, z)


def can_read_eager(x: Tensor, z: Tensor) -> bool:
    """Like `can_read`, where neither torch.compile nor torch.func is active."""
    return (
        type(x) in PLAIN
        and type(z) in PLAIN
        and not x.is_neg()
        and not z.is_neg()
        and not dispatch_modes()
        and not forward_mode_active()
        and not tracing()
    )


def run(packed: PackedJob, x: Tensor, z: Tensor, bias: Tensor | None = None) -> Tensor:
    """Run a job on tensors with the shapes and strides that it was packed for.

    Args:
        packed: the job.
        x: tensor with the planes of x.
        z: tensor with the planes of z.
        bias: (n2,), added before the activation, in the same dtype.

    Returns:
        A tensor of the job's shape.
    """
    assert module is not None
    job, offset, shape, strides, single_thread = packed
    out = x.new_empty_strided(shape, strides)
    if 0 in shape:
        return out
    threads = 1 if single_thread else torch.get_num_threads()
    given = 0 if bias is None else bias.data_ptr()
    module.run(job, x.data_ptr(), z.data_ptr() + offset, given, out.data_ptr(), threads)
    return out


def multiply_adds(dtype: int, rounds: int, threads: int) -> float:
    """Run a loop of multiply-adds on registers in each thread, to measure the peak speed.

    Args:
        dtype: index in `DTYPES`; half precision is computed in float32.
        rounds: iterations of the loop.
        threads: how many threads run the loop.

    Returns:
        The FLOPs of all threads.
    """
    assert module is not None
    made: float = module.multiply_add(dtype, rounds, threads)
    return made


def pack(
    planes: Planes, form: Form, shape: tuple[int, ...], x: Tensor, z: Tensor, activation: int = 0
) -> PackedJob:
    """Pack a job into the bytes of the C++ struct `Job`."""
    z_size, z_cell = (z.shape[2], z.shape[3]), (z.stride(2), z.stride(3))
    stride, dilation = _taken(form.stride, form.out_size), _taken(form.dilation, z_size)
    offset = 0
    if form.rotated:
        offset = (z_size[0] - 1) * z_cell[0] + (z_size[1] - 1) * z_cell[1]
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
        *stride,
        *dilation,
        DTYPES.index(x.dtype),
        channels_last,
        activation,
    )
    cells = form.out_size[0] * form.out_size[1] * z_size[0] * z_size[1]
    flops = 2 * cells * count[0] * count[1] * count[2] * count[3]
    strides = result_strides(shape, channels_last)
    return PackedJob(job, offset * x.element_size(), shape, strides, flops < SINGLE_THREAD_FLOPS)


def result_strides(shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
    """Strides of a new tensor (B, C, H, W)."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(shape, device="meta", memory_format=layout).stride()


def _taken(steps: Sides, sizes: Sides) -> list[int]:
    """Return the steps along both axes; 1 for a step that is never taken, whatever its size."""
    return [step if size > 1 else 1 for step, size in zip(steps, sizes, strict=True)]
