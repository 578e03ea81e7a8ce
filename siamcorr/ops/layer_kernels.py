"""Python interface of the C++ kernels that only layers use, in float32 and channels_last.

1x1 convolution, see native/pointwise.h, and channel attention, see native/gate.h.
"""

import math
import struct
from typing import NamedTuple

import torch
from torch import Tensor

from siamcorr.ops import kernels

POINTWISE_LAYOUT = struct.Struct("5q")  # `PointwiseJob` in native/job.h
GATE_LAYOUT = struct.Struct("6q")  # `GateJob`
GATES = ("hardsigmoid", "sigmoid")  # in the order of `Gate`
# Output channels of a block of the weights of a 1x1 convolution.
BLOCK: int = 16 if kernels.module is None else kernels.module.BLOCK


class PackedLayerJob(NamedTuple):
    """A job of a layer in the form that the kernels take."""

    job: bytes
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    single_thread: bool


def pack_pointwise(
    shape: tuple[int, ...], groups: int, outputs: int, activation: str | None
) -> PackedLayerJob:
    """Pack a 1x1 convolution into the bytes of the C++ struct `PointwiseJob`.

    Args:
        shape: (B, C, H, W) of features in channels_last.
        groups: groups of the convolution.
        outputs: output channels of a group.
        activation: one of `ACTIVATIONS`.
    """
    count, channels, height, width = shape
    sizes = count * height * width, groups, channels // groups, outputs
    job = POINTWISE_LAYOUT.pack(*sizes, kernels.ACTIVATIONS.index(activation))
    flops = 2 * math.prod(sizes)
    out = count, groups * outputs, height, width
    return _packed(job, out, flops)


def run_pointwise(packed: PackedLayerJob, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Run a 1x1 convolution on features for whose shape it was packed.

    Args:
        packed: the job.
        x: (B, C, H, W) in channels_last.
        weight: (groups * blocks, C / groups, BLOCK); the last block of a group ends with the
            group's last channel.
        bias: (groups * blocks, 1, BLOCK), likewise.

    Returns:
        (B, groups * outputs, H, W) in channels_last.
    """
    assert kernels.module is not None
    job, shape, strides, single_thread = packed
    out = x.new_empty_strided(shape, strides)
    if 0 not in shape:
        threads = 1 if single_thread else torch.get_num_threads()
        addresses = x.data_ptr(), weight.data_ptr(), bias.data_ptr(), out.data_ptr()
        kernels.module.run_pointwise(job, *addresses, threads)
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
    return _packed(job, tuple(shape), math.prod(shape))


def run_gate(packed: PackedLayerJob, x: Tensor, weight: Tensor) -> Tensor:
    """Run a job of channel attention on features for whose shape it was packed.

    Args:
        packed: the job.
        x: (B, C, H, W) in channels_last.
        weight: what gate.h says, in one row.
    """
    assert kernels.module is not None
    job, shape, strides, single_thread = packed
    out = x.new_empty_strided(shape, strides)
    if 0 not in shape:
        threads = 1 if single_thread else torch.get_num_threads()
        kernels.module.run_gate(job, x.data_ptr(), weight.data_ptr(), 0, out.data_ptr(), threads)
    return out


def _packed(job: bytes, shape: tuple[int, ...], flops: int) -> PackedLayerJob:
    strides = kernels.result_strides(shape, channels_last=True)
    return PackedLayerJob(job, shape, strides, flops < kernels.SINGLE_THREAD_FLOPS)
