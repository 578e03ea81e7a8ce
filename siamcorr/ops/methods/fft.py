"""Correlation by the Fourier transform, for large templates.

A product of spectra is a convolution, and a correlation is the convolution with the template
rotated by 180 degrees. With FFTs at least as large as search, the kept cells do not wrap around;
the response starts after the first h - 1 rows and w - 1 columns of the plane.

The batched form sums the channels of the spectra, so that each response needs only one inverse
FFT.
"""

import math
from collections.abc import Iterator
from functools import reduce

import torch
from torch import Tensor

from siamcorr.ops.methods.depthwise_gradients import template_cells
from siamcorr.ops.shapes import Geometry

PART = 4 << 20  # bytes of spectra at a time, so that they fit a processor's cache


def fast_size(size: int) -> int:
    """The smallest number >= size without a prime factor above 5, for which FFTs are fast.

    Example:
        >>> fast_size(255), fast_size(127), fast_size(22)
        (256, 128, 24)
    """
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest = rest // prime
        if rest == 1:
            return size
        size = size + 1


def batched_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, O*C, h, w), pair by pair -> (B, O, H', W')."""
    kernels = template.reshape(-1, geometry.outputs, geometry.search[1], *template.shape[2:])
    total = None
    for part in _parts(geometry, geometry.search[0] * (1 + 2 * geometry.outputs)):
        x = _spectrum(search[:, None, part], geometry)  # (B, 1, c, fH, fW)
        z = _rotated_spectrum(kernels[:, :, part], geometry)  # (B or 1, O, c, fH, fW)
        products = (x * z).sum(2)
        total = products if total is None else total.add_(products)
    assert total is not None
    return _plane(total, geometry, geometry.extent, geometry.response)


def batched_response_to(search: Tensor, spectrum: Tensor, geometry: Geometry) -> Tensor:
    """`batched_response` with the template's spectrum (B or 1, O, C, fH, fW)."""
    parts = _parts(geometry, geometry.search[0] * (1 + geometry.outputs))
    totals = [
        (_spectrum(search[:, None, part], geometry) * spectrum[:, :, part]).sum(2) for part in parts
    ]
    return _plane(reduce(torch.add, totals), geometry, geometry.extent, geometry.response)


def batched_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, O*C, h, w) with (B, O, H', W'), the full correlation -> (B, C, H, W)."""
    kernels = template.reshape(-1, geometry.outputs, geometry.search[1], *template.shape[2:])
    result = grad.new_empty(geometry.search)
    g = _spectrum(grad[:, :, None], geometry)  # (B, O, 1, fH, fW)
    for part in _parts(geometry, geometry.search[0] * 2 * geometry.outputs):
        z = _spectrum(_dilate(kernels[:, :, part], geometry), geometry)
        result[:, part] = _plane((z * g).sum(1), geometry, (1, 1), geometry.search)
    return result


def batched_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, O, H', W'), each channel with each -> (B or 1, O*C, h, w)."""
    batch, channels = geometry.search[:2]
    every = search.new_empty(batch, geometry.outputs, channels, *geometry.extent)
    g = _spectrum(grad[:, :, None].flip(3, 4), geometry)
    for part in _parts(geometry, batch * (1 + geometry.outputs)):
        x = _spectrum(search[:, None, part], geometry)
        every[:, :, part] = _plane(x * g, geometry, geometry.response[2:], every.shape)
    return template_cells(every, geometry)


def depthwise_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, C, h, w), channel by channel -> (B, C, H', W')."""
    result = search.new_empty(geometry.response)
    for part in _parts(geometry, 2 * geometry.search[0]):
        x = _spectrum(search[:, part], geometry)
        x *= _rotated_spectrum(template[:, part], geometry)
        result[:, part] = _plane(x, geometry, geometry.extent, geometry.response)
    return result


def depthwise_response_to(search: Tensor, spectrum: Tensor, geometry: Geometry) -> Tensor:
    """`depthwise_response` with the template's spectrum (B or 1, C, fH, fW)."""
    result = search.new_empty(geometry.response)
    for part in _parts(geometry, geometry.search[0]):
        products = _spectrum(search[:, part], geometry) * spectrum[:, part]
        result[:, part] = _plane(products, geometry, geometry.extent, geometry.response)
    return result


def template_spectrum(template: Tensor, geometry: Geometry) -> Tensor:
    """The spectrum of a template for `batched_response_to` and `depthwise_response_to`."""
    if geometry.op == "batched":
        count, _, h, w = geometry.template
        template = template.reshape(count, geometry.outputs, geometry.search[1], h, w)
    return _rotated_spectrum(template, geometry)


def depthwise_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, C, h, w) with (B, C, H', W'), the full correlation -> (B, C, H, W)."""
    result = grad.new_empty(geometry.search)
    for part in _parts(geometry, 2 * geometry.search[0]):
        z = _spectrum(_dilate(template[:, part], geometry), geometry)
        g = _spectrum(grad[:, part], geometry)
        result[:, part] = _plane(g.mul_(z), geometry, (1, 1), geometry.search)
    return result


def depthwise_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, C, H', W'), channel by channel -> (B or 1, C, h, w)."""
    every = search.new_empty(*geometry.search[:2], *geometry.extent)
    for part in _parts(geometry, 2 * geometry.search[0]):
        x = _spectrum(search[:, part], geometry)
        x *= _spectrum(grad[:, part].flip(2, 3), geometry)
        every[:, part] = _plane(x, geometry, geometry.response[2:], every.shape)
    return template_cells(every, geometry)


def transform_size(geometry: Geometry) -> tuple[int, int]:
    """Rows and columns of the FFTs."""
    return fast_size(geometry.search[2]), fast_size(geometry.search[3])


def _spectrum(planes: Tensor, geometry: Geometry) -> Tensor:
    spectrum: Tensor = torch.fft.rfft2(planes, s=transform_size(geometry))
    return spectrum


def _rotated_spectrum(template: Tensor, geometry: Geometry) -> Tensor:
    """The spectrum of a template rotated by 180 degrees."""
    return _spectrum(_dilate(template, geometry).flip(-2, -1), geometry)


def _plane(
    spectrum: Tensor, geometry: Geometry, kernel: tuple[int, ...], size: tuple[int, ...]
) -> Tensor:
    """Inverse FFT; keep `size` (its last two) after the first kernel - 1 rows and columns.

    Columns are transformed first, so that dropped rows need no transform.
    """
    top, left = kernel[0] - 1, kernel[1] - 1
    kept = torch.fft.ifft(spectrum, dim=-2)[..., top : top + size[-2], :]
    plane: Tensor = torch.fft.irfft(kept, n=transform_size(geometry)[1])
    return plane[..., left : left + size[-1]]


def _dilate(template: Tensor, geometry: Geometry) -> Tensor:
    """Insert the zeros of a dilation between the template's cells."""
    d = geometry.dilation
    if d == 1:
        return template
    dilated = template.new_zeros(*template.shape[:-2], *geometry.extent)
    dilated[..., ::d, ::d] = template
    return dilated


def _parts(geometry: Geometry, planes: int) -> Iterator[slice]:
    """Ranges of channels whose spectra, `planes` per channel, fit PART bytes.

    In a graph there is one range: computing ranges would make the batch a constant.
    """
    if torch.compiler.is_compiling():
        return iter([slice(0, geometry.search[1])])
    rows, columns = transform_size(geometry)
    step = max(1, PART // (planes * rows * (columns // 2 + 1) * 8))
    channels = geometry.search[1]
    return (slice(low, min(low + step, channels)) for low in range(0, channels, step))


def work(geometry: Geometry, prepared: bool = False) -> list[float]:
    """Calls, FFTs and products, for the planner; prepared omits the templates' FFTs."""
    rows, columns = transform_size(geometry)
    batch, channels = geometry.search[:2]
    templates = 0 if prepared else geometry.template[0] * geometry.template[1]
    planes = batch * channels + templates + batch * geometry.response[1]
    products = batch * geometry.outputs * channels * rows * columns
    return [1.0, planes * rows * columns * math.log2(rows * columns), float(products)]
