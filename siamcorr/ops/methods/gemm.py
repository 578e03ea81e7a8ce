"""Correlation by matrix products: a product per template cell, then shifted sums.

    y[u, v, I, J] = sum over c of z[c, u, v] * x[c, I, J]       one batched product
    response[i, j] = sum over u, v of y[u, v, i + u, j + v]     over u, then over v

The product runs at the machine's matrix multiplication speed, which grouped convolutions do not
reach. It computes more products than needed, because y also covers cells outside the response;
tiling by template rows keeps that, and y, small.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops.methods.depthwise_gradients import search_gradient, template_gradient
from siamcorr.ops.methods.tiling import Tile, depthwise_tiles, tiles
from siamcorr.ops.shapes import Geometry

CellSum = Callable[[Tensor, int, int, int], Tensor]


def batched_response(
    search: Tensor, template: Tensor, geometry: Geometry, cell_sum: CellSum | None = None
) -> Tensor:
    """(B, C, H, W) with (B or 1, O*C, h, w), pair by pair -> (B, O, H', W').

    Another method may pass its own cell_sum with the same result as `both_sums`.
    """
    cell_sum = cell_sum or both_sums
    cells, d = _cells(template, geometry), geometry.dilation
    _, _, rows, columns = geometry.response
    parts = tiles(geometry, search.element_size())
    if len(parts) == 1:
        return cell_sum(_products(search, cells), d, rows, columns)
    response = search.new_zeros(geometry.response)
    for tile in parts:
        band = search[tile.batch, :, tile.search_rows(d)]
        mine = _tile_cells(tile, cells)
        rows = tile.rows.stop - tile.rows.start
        y = _products(band, mine)
        response[tile.batch, tile.outputs, tile.rows] += cell_sum(y, d, rows, columns)
    return response


def batched_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, O*C, h, w) with (B, O, H', W'), the full correlation -> (B, C, H, W)."""
    cells, d = _cells(template, geometry), geometry.dilation
    parts = tiles(geometry, grad.element_size())
    if len(parts) == 1:
        return _search(cells, _spread(grad, cells.shape[3:], d))
    result = grad.new_zeros(geometry.search)
    for tile in parts:
        mine = _tile_cells(tile, cells)
        spread = _spread(grad[tile.batch, tile.outputs, tile.rows], mine.shape[3:], d)
        result[tile.batch, :, tile.search_rows(d)] += _search(mine, spread)
    return result


def batched_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, O, H', W'), each channel with each -> (B or 1, O*C, h, w)."""
    (count, _, h, w), d = geometry.template, geometry.dilation
    result = search.new_zeros(count, geometry.outputs, geometry.search[1], h, w)
    for tile in tiles(geometry, search.element_size()):
        band = search[tile.batch, :, tile.search_rows(d)]
        size = torch.Size((tile.cells.stop - tile.cells.start, w))
        spread = _spread(grad[tile.batch, tile.outputs, tile.rows], size, d)
        product_ = spread.flatten(4).flatten(1, 3) @ band.flatten(2).transpose(1, 2)
        cells = product_.view(*spread.shape[:4], -1).flip(2, 3).permute(0, 1, 4, 2, 3)
        if geometry.shared:
            cells = cells.sum(0, keepdim=True)
        result[_tile_batch(tile, count), tile.outputs, :, tile.cells] += cells
    return result.view(geometry.template)


def depthwise_response(search: Tensor, template: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B or 1, C, h, w), channel by channel -> (B, C, H', W').

    Unfold the columns of the windows, so that the product sums over v and the shifted sum only
    over u.
    """
    (_, _, h, _), (extent, reach) = geometry.template, geometry.extent
    d, result = geometry.dilation, search.new_empty(geometry.response)
    for b, c, r in depthwise_tiles(geometry, search.element_size()):
        band = search[b, c, r.start : r.stop + extent - 1]
        windows = band.unfold(3, reach, 1)[..., ::d]  # (b, c, R, W', w)
        own = template[b if len(template) > 1 else slice(None), c]
        y = windows.flatten(2, 3) @ own.transpose(2, 3)  # (b, c, R*W', h)
        y = y.view(*windows.shape[:4], h)
        result[b, c, r] = shifted_sum(y, 4, 2, d, r.stop - r.start)
    return result


def depthwise_search(template: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B or 1, C, h, w) with (B, C, H', W'), the full correlation -> (B, C, H, W)."""
    return search_gradient(depthwise_response, template, grad, geometry)


def depthwise_template(search: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """(B, C, H, W) with (B, C, H', W'), channel by channel -> (B or 1, C, h, w)."""
    return template_gradient(depthwise_response, search, grad, geometry)


def shifted_sum(stack: Tensor, shift: int, axis: int, step: int, size: int) -> Tensor:
    """Sum over k of stack[k on shift, k*step : k*step + size on axis]; removes dimension shift.

    It uses one strided view whose last dimension runs along the diagonal.
    """
    sizes, strides = list(stack.shape), list(stack.stride())
    sizes[axis] = size
    sizes.append(sizes.pop(shift))
    strides.append(strides[shift] + step * strides[axis])
    del strides[shift]
    return stack.as_strided(sizes, strides).sum(-1)


def both_sums(y: Tensor, step: int, rows: int, columns: int) -> Tensor:
    """Products y (b, o, n, w, R, W) -> (b, o, rows, columns): summed over u, then over v."""
    return shifted_sum(shifted_sum(y, 2, 4, step, rows), 2, 4, step, columns)


def _products(search: Tensor, cells: Tensor) -> Tensor:
    """Search (b, C, R, W) with cells (b or 1, o, C, n, w) -> y (b, o, n, w, R, W)."""
    _, o, _, n, w = cells.shape
    b, _, height, width = search.shape
    matrix = cells.flatten(3).transpose(2, 3).flatten(1, 2)  # (b or 1, o*n*w, C)
    return (matrix @ search.flatten(2)).view(b, o, n, w, height, width)


def _search(cells: Tensor, spread: Tensor) -> Tensor:
    """Cells (b or 1, o, C, n, w) with spread (b, o, n, w, R, W) -> (b, C, R, W)."""
    matrix = cells.flip(3, 4).transpose(1, 2).flatten(2)  # (b or 1, C, o*n*w)
    product_ = matrix @ spread.flatten(4).flatten(1, 3)  # (b, C, R*W)
    return product_.view(*product_.shape[:2], *spread.shape[4:])


def _spread(grad: Tensor, size: torch.Size, step: int) -> Tensor:
    """The adjoint of `both_sums`: grad (b, o, r, W') shifted for each template cell.

    Returns:
        (b, o, n, w, R, W), a view, with the n x w template cells in reverse order.
    """
    rows, columns = ((count - 1) * step for count in size)
    padded = F.pad(grad, (columns, columns, rows, rows))
    height, width = grad.shape[2] + rows, grad.shape[3] + columns
    return padded.unfold(2, height, step).unfold(3, width, step)


def _cells(template: Tensor, geometry: Geometry) -> Tensor:
    """The template as (B or 1, O, C, h, w)."""
    count, _, h, w = geometry.template
    return template.reshape(count, geometry.outputs, geometry.search[1], h, w)


def _tile_cells(tile: Tile, cells: Tensor) -> Tensor:
    """The template cells of a tile, (b or 1, o, C, n, w)."""
    return cells[_tile_batch(tile, len(cells)), tile.outputs, :, tile.cells]


def _tile_batch(tile: Tile, count: int) -> slice:
    return slice(None) if count == 1 else tile.batch


def work(geometry: Geometry) -> list[float]:
    """Calls, tiles, multiplications and elements, for the planner.

    In the batched form, every tile reads search, and writes and sums its y.
    """
    if geometry.op == "depthwise":
        return [1.0, float(geometry.flops), geometry.elements * geometry.template[3]]
    (_, channels, _, width), w = geometry.search, geometry.template[3]
    y, read, parts = 0, 0, tiles(geometry, 4)
    for tile in parts:
        rows = tile.search_rows(geometry.dilation)
        cells = (tile.batch.stop - tile.batch.start) * (rows.stop - rows.start) * width
        read += cells * channels
        outputs = tile.outputs.stop - tile.outputs.start
        y += cells * outputs * (tile.cells.stop - tile.cells.start) * w
    flops = 2.0 * y * channels
    return [1.0, float(len(parts)), flops, float(read), float(y), geometry.elements]
