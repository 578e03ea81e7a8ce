"""Python interface of the C++ kernels that only layers use, in float32 and channels_last.

A convolution as a product of matrices, see native/matrix.h, and channel attention, see
native/gate.h.
"""

import math
import struct
from typing import NamedTuple

import torch
from torch import Tensor

from siamcorr.ops import kernels

MATRIX_LAYOUT = struct.Struct("13q")  # `MatrixJob`
GATE_LAYOUT = struct.Struct("6q")  # `GateJob`
GATES = ("hardsigmoid", "sigmoid")  # in the order of `Gate`
# Output channels of a block of a matrix job's weights.
BLOCK: int = 16 if kernels.module is None else kernels.module.BLOCK


class MatrixShape(NamedTuple):
    """A convolution as a product of matrices, in float32; see `MatrixJob` in native/job.h.

    cells: images, rows and columns of the response. x_steps: elements of x from one to the next.
    group_step: elements of x from group to group. reads: what a cell reads of a group: segments,
    the step from one to the next, and their length. outputs: channels of a group.
    """

    cells: tuple[int, int, int]
    x_steps: tuple[int, int, int]
    groups: int
    group_step: int
    reads: tuple[int, int, int]
    outputs: int


class PackedLayerJob(NamedTuple):
    """A matrix job, or one of channel attention, in the form that the kernels take."""

    job: bytes
    shape: tuple[int, ...]
    single_thread: bool


def pack_matrix(given: MatrixShape, shape: tuple[int, ...], activation: int) -> PackedLayerJob:
    """Pack a job into the bytes of the C++ struct `MatrixJob`."""
    cells, steps, groups, group_step, reads, outputs = given
    job = MATRIX_LAYOUT.pack(*cells, *steps, groups, group_step, *reads, outputs, activation)
    flops = 2 * math.prod(shape) * reads[0] * reads[2]
    return PackedLayerJob(job, shape, flops < kernels.SINGLE_THREAD_FLOPS)


def run_matrix(packed: PackedLayerJob, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Run a matrix job on tensors with the shapes and strides that it was packed for.

    Args:
        packed: the job.
        x: in channels_last.
        weight: (groups * blocks, segments * length, BLOCK); the last block of a group ends with the
            group's last channel.
        bias: (groups * blocks, 1, BLOCK), likewise.

    Returns:
        A tensor of the job's shape in channels_last.
    """
    assert kernels.module is not None
    job, shape, single_thread = packed
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    if out.numel():
        threads = 1 if single_thread else torch.get_num_threads()
        addresses = x.data_ptr(), weight.data_ptr(), bias.data_ptr(), out.data_ptr()
        kernels.module.run_matrix(job, *addresses, threads)
    return out


def pack_gate(
    shape: tuple[int, ...], hidden: int, gate: str, activation: str | None
) -> PackedLayerJob:
    """Pack a job of channel attention into the bytes of the C++ struct `GateJob`.

    Args:
        shape: (B, C, H, W) of features in channels_last.
        hidden: neurons of the first layer.
        gate: one of `GATES`.
        activation: one of `ACTIVATIONS`.
    """
    images, channels, height, width = shape
    kinds = GATES.index(gate), kernels.ACTIVATIONS.index(activation)
    job = GATE_LAYOUT.pack(images, height * width, channels, hidden, *kinds)
    return PackedLayerJob(job, tuple(shape), math.prod(shape) < kernels.SINGLE_THREAD_FLOPS)


def run_gate(packed: PackedLayerJob, x: Tensor, weight: Tensor) -> Tensor:
    """Run a job of channel attention on features for whose shape it was packed.

    Args:
        packed: the job.
        x: (B, C, H, W) in channels_last.
        weight: what gate.h says, in one row.
    """
    assert kernels.module is not None
    job, shape, single_thread = packed
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    if out.numel():
        threads = 1 if single_thread else torch.get_num_threads()
        kernels.module.run_gate(job, x.data_ptr(), weight.data_ptr(), 0, out.data_ptr(), threads)
    return out
