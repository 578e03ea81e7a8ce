"""Correlation by F.conv2d with groups, as public trackers do it; the reference method.

conv2d takes one set of kernels for the whole batch. To give each search its own template, the
batch is folded into the channels, and `groups` separates the pairs.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops.methods.depthwise_gradients import (
    search_gradient,
    template_cells,
    template_gradient,
)
from siamcorr.ops.shapes import Computed, Geometry
from siamcorr.ops.torch_versions import exporting

BUDGET = 64 << 20  # bytes of a response before its channels are summed
# oneDNN's fast depthwise kernels take at most as much padding as their block of columns is wide.
MOST_PADDING = 6 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 3


def batched_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, O*C, h, w), pair by pair -> (B, O, H', W').

    With one output, it is a depthwise correlation and a sum over channels: on a CPU that is many
    times faster than a convolution that sums the channels itself.
    """
    if geometry.outputs == 1 and not exporting():
        return _depthwise_sum(search, template, geometry)
    batch, channels, height, width = search.shape
    kernels = _kernels(template, geometry)
    if template.shape[0] == 1:
        return F.conv2d(search, kernels, dilation=geometry.dilation)
    folded = search.reshape(1, batch * channels, height, width)
    response = F.conv2d(folded, kernels, groups=batch, dilation=geometry.dilation)
    return response.reshape(geometry.response)


def _depthwise_sum(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """Depthwise correlation and channel sum, for parts of the batch that fit the budget."""
    batch, channels = geometry.search[:2]
    _, _, rows, columns = geometry.response
    step = max(1, BUDGET // max(1, channels * rows * columns * search.element_size()))
    depthwise = geometry.each_channel()
    if step >= batch:
        return depthwise_response(search, template, depthwise).sum(1, keepdim=True)
    parts = []
    for start in range(0, batch, step):
        few = search[start : start + step]
        own = template if len(template) == 1 else template[start : start + step]
        part = depthwise.with_sizes(few.shape, own.shape)
        parts.append(depthwise_response(few, own, part).sum(1, keepdim=True))
    return torch.cat(parts)


def batched_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, O*C, h, w) with (B, O, H', W'), the full correlation -> (B, C, H, W).

    With one output it is depthwise, with the same grad for every channel: many times faster than
    F.conv_transpose2d with groups.
    """
    if geometry.outputs == 1:
        each = grad.expand(-1, geometry.search[1], -1, -1)
        return depthwise_search(template, each, geometry.each_channel())
    kernels = _kernels(template, geometry)
    if template.shape[0] == 1:
        return F.conv_transpose2d(grad, kernels, dilation=geometry.dilation)
    batch, outputs, rows, columns = grad.shape
    folded = grad.reshape(1, batch * outputs, rows, columns)
    full = F.conv_transpose2d(folded, kernels, groups=batch, dilation=geometry.dilation)
    return full.reshape(geometry.search)


def batched_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, O, H', W'), each channel with each -> (B or 1, O*C, h, w)."""
    batch, channels, height, width = search.shape
    _, outputs, rows, columns = grad.shape
    folded = search.reshape(1, batch * channels, height, width)
    kernels = grad[:, None].expand(-1, channels, -1, -1, -1)  # (B, C, O, H', W')
    kernels = kernels.reshape(batch * channels * outputs, 1, rows, columns)
    every = F.conv2d(folded, kernels, groups=batch * channels)
    every = every.reshape(batch, channels, outputs, *every.shape[2:]).transpose(1, 2)
    return template_cells(every, geometry)


def depthwise_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, C, h, w), channel by channel -> (B, C, H', W')."""
    batch, channels, height, width = geometry.search
    count, _, h, w = geometry.template
    kernels = template.reshape(count * channels, 1, h, w)
    if count == 1:
        return F.conv2d(search, kernels, None, 1, 0, geometry.dilation, channels)
    folded = search.reshape(1, batch * channels, height, width)
    response = F.conv2d(folded, kernels, None, 1, 0, geometry.dilation, batch * channels)
    return response.view(batch, channels, *response.shape[2:])


def depthwise_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, C, h, w) with (B, C, H', W'), the full correlation -> (B, C, H, W).

    The correlation of the padded grad with the template rotated by 180 degrees: twice as fast as
    F.conv_transpose2d. Padding inside conv2d is faster than F.pad before it, but on a CPU conv2d
    takes ten times as long with more than `MOST_PADDING`.
    """
    padding = geometry.extent[0] - 1, geometry.extent[1] - 1
    if grad.device.type == "cpu" and max(padding) > MOST_PADDING:
        return search_gradient(depthwise_response, template, grad, geometry)
    batch, channels, rows, columns = grad.shape
    kernels = template.flip(2, 3).reshape(-1, 1, *template.shape[2:])
    folded = grad if template.shape[0] == 1 else grad.reshape(1, batch * channels, rows, columns)
    full = F.conv2d(
        folded, kernels, padding=padding, groups=folded.shape[1], dilation=geometry.dilation
    )
    return full.reshape(geometry.search)


def depthwise_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, C, H', W'), channel by channel -> (B or 1, C, h, w)."""
    return template_gradient(depthwise_response, search, grad, geometry)


def _kernels(template: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, O*C, h, w) -> (B*O or O, C, h, w)."""
    count, _, h, w = geometry.template
    return template.reshape(count * geometry.outputs, geometry.search[1], h, w)


def work(geometry: Geometry, computed: Computed) -> list[float]:
    """Calls, multiplications and elements, for the planner.

    Batched with one output is a depthwise correlation and a sum; with several outputs it is a
    convolution, which is slower with groups. The gradient of search multiplies zeros, too, and that
    of a dilated template is computed for all cells between.
    """
    flops, elements = float(geometry.flops), geometry.elements
    one, grouped = geometry.outputs == 1, geometry.template[0] > 1
    if one and computed == "search":
        flops *= math.prod(geometry.search[2:]) / max(1, math.prod(geometry.response[2:]))
    if computed == "template":
        flops *= math.prod(geometry.extent) / max(1, math.prod(geometry.template[2:]))
    if geometry.op == "depthwise":
        return [1.0, flops, elements]
    if one:
        elements = geometry.each_channel().elements
    return [1.0, flops * one, flops * (not one), flops * (grouped and not one), elements]
