"""Correlation by our own GPU kernels, for CUDA devices with triton installed.

The depthwise forms are one kernel each, without a padded copy or other intermediates. The batched
response is the matrix product of `gemm`, with one pass instead of two to sum y over all template
cells; its gradients are those of `gemm`.

The kernels are imported at first use, because importing triton is slow. If TRITON_INTERPRET=1 is
set before, triton runs them slowly on the CPU; tests use that without a GPU.
"""

import os
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from siamcorr.ops.methods import gemm
from siamcorr.ops.shapes import Geometry

INSTALLED = find_spec("triton") is not None

RUNS = (32, 64, 128, 256)  # cells per program; at most 4 per thread, so that few threads are idle
UNROLLED = 16  # unrolled template columns

# For the gradient of the template: template cells per program, and their number times that of the
# response cells in one step.
TEMPLATE_RUNS = (16, 32, 64)
TILE = 2048


def available(device_type: str) -> bool:
    """Whether this method runs on a type of device: "cuda", or any in triton's interpreter."""
    return INSTALLED and (device_type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1")


def batched_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, O*C, h, w), pair by pair -> (B, O, H', W').

    Products of half precision stay in float32, because h*w of them are summed later.
    """
    _kernels(search)
    wide = torch.promote_types(search.dtype, torch.float32)
    result = gemm.batched_response(search.to(wide), template.to(wide), geometry, cell_sum)
    return result.to(search.dtype)


def batched_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, O*C, h, w) with (B, O, H', W') -> (B, C, H, W); by `gemm`, at least in float32."""
    _kernels(grad)
    wide = torch.promote_types(grad.dtype, torch.float32)
    return gemm.batched_search(template.to(wide), grad.to(wide), geometry).to(grad.dtype)


def batched_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, O, H', W') -> (B or 1, O*C, h, w); by `gemm`, at least in float32."""
    _kernels(grad)
    wide = torch.promote_types(grad.dtype, torch.float32)
    return gemm.batched_template(search.to(wide), grad.to(wide), geometry).to(grad.dtype)


def depthwise_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, C, h, w), channel by channel -> (B, C, H', W')."""
    kernel = _kernels(search).response_kernel
    result = search.new_empty(geometry.response)
    pair = search.contiguous(), template.contiguous()
    return _fill(kernel, result, *pair, *_sizes(geometry), w=geometry.template[3])


def depthwise_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, C, h, w) with (B, C, H', W'), the full correlation -> (B, C, H, W)."""
    kernel = _kernels(grad).search_kernel
    result = grad.new_empty(geometry.search)
    pair = template.contiguous(), grad.contiguous()
    return _fill(kernel, result, *pair, *_sizes(geometry), w=geometry.template[3])


def depthwise_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, C, H', W'), channel by channel -> (B or 1, C, h, w).

    The kernel computes one gradient per search; a shared template gets their sum.
    """
    kernel = _kernels(grad).template_kernel
    (count, channels, h, w), batch = geometry.template, geometry.search[0]
    dtype = grad.dtype if count == batch else torch.promote_types(grad.dtype, torch.float32)
    result = grad.new_empty((batch, channels, h, w), dtype=dtype)
    cells = next((size for size in TEMPLATE_RUNS if size >= h * w), TEMPLATE_RUNS[-1])
    programs = batch * channels * -(-h * w // cells)
    _, rows, columns, height, width, _, dilation = _sizes(geometry)
    sizes = rows, columns, height, width, h, w, dilation
    constants = {"cells": cells, "block": TILE // cells, "num_warps": 4}
    _launch(kernel, programs, result, search.contiguous(), grad.contiguous(), *sizes, **constants)
    if count != batch:
        result = result.sum(0, keepdim=True)
    return result.to(grad.dtype)


def cell_sum(y: Tensor, step: int, rows: int, columns: int) -> Tensor:
    """Products y (b, o, n, w, R, W) -> (b, o, rows, columns), like `gemm.both_sums`."""
    b, o, n, w, height, width = y.shape
    kernel, result = _kernels(y).cell_sum_kernel, y.new_empty(b, o, rows, columns)
    return _fill(kernel, result, y, rows, columns, height, width, n, step, w=w)


def _kernels(tensor: Tensor) -> ModuleType:
    """Import the kernels, if they can run on the tensor's device."""
    if not available(tensor.device.type):
        there = "" if INSTALLED else " without triton"
        raise ValueError(
            f'method "triton" needs triton and a CUDA device, got {tensor.device}{there}'
        )
    from siamcorr.ops.methods import triton_kernels

    return triton_kernels


def _sizes(geometry: Geometry) -> tuple[int, ...]:
    """Arguments of the depthwise kernels: the number of templates, and all sizes but w."""
    count, channels, h, _ = geometry.template
    return count * channels, *geometry.response[2:], *geometry.search[2:], h, geometry.dilation


def _fill(kernel: Any, result: Tensor, *arguments: Tensor | int, w: int) -> Tensor:
    """Launch a kernel with one program per plane and run of cells of result (b, c, ., .)."""
    batch, channels, rows, columns = result.shape
    cells = rows * columns
    block = next((size for size in RUNS if size >= cells), RUNS[-1])
    constants = {"w": w, "unroll": min(w, UNROLLED), "block": block}
    programs = batch * channels * -(-cells // block)
    _launch(kernel, programs, result, *arguments, **constants, num_warps=max(1, block // 128))
    return result


def _launch(kernel: Any, programs: int, *arguments: Tensor | int, **constants: int) -> None:
    """Launch on the device of the first argument, which may not be the current device."""
    if torch.compiler.is_compiling():  # torch.compile selects the device itself
        kernel[(programs,)](*arguments, **constants)
    else:
        with torch.cuda.device_of(arguments[0]):  # type: ignore[no-untyped-call]
            kernel[(programs,)](*arguments, **constants, enable_fp_fusion=True)


def work(geometry: Geometry) -> list[float]:
    """Calls, multiplications and elements, for the planner; the batched form counts as `gemm`."""
    if geometry.op == "batched":
        return gemm.work(geometry)
    return [1.0, float(geometry.flops), geometry.elements]
