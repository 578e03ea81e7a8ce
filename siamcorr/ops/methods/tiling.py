"""Cutting the work of `gemm` up, so that what stands between its two steps keeps a budget."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from siamcorr.ops.shapes import Geometry, remembered

BUDGET = 64 << 20  # bytes of the intermediate y; one row of a template is the least
PRODUCT_ROWS = 144  # a matrix product with fewer rows falls short of full speed


class Tile(NamedTuple):
    """A part of the work whose y fits the budget: searches, outputs, template and response rows."""

    batch: slice
    outputs: slice
    cells: slice
    rows: slice

    def search_rows(self, dilation: int) -> slice:
        """The rows of search that this tile touches."""
        first, last = self.cells.start * dilation, (self.cells.stop - 1) * dilation
        return slice(self.rows.start + first, self.rows.stop + last)


@remembered
def tiles(geometry: Geometry, itemsize: int) -> list[Tile]:
    """Cut the work up, only as far as full speed and the budget demand."""
    batch, outputs, rows, _ = geometry.response
    _, _, h, w = geometry.template
    groups = -(-h // -(-PRODUCT_ROWS // max(1, w * outputs)))
    cells = -(-h // groups)

    def most(limit: int, others: int) -> int:
        """How many of an axis fit, if each of them costs the others' elements."""
        return max(1, min(limit, BUDGET // max(1, others * itemsize)))

    line = w * geometry.search[3]
    if cells * (rows + (cells - 1) * geometry.dilation) * line * itemsize > BUDGET:
        cells = 1
    row_step = most(rows, cells * line)
    plane = cells * (row_step + (cells - 1) * geometry.dilation) * line
    output_step = most(outputs, plane)
    batch_step = most(batch, output_step * plane)
    axes = ((batch, batch_step), (outputs, output_step), (h, cells), (rows, row_step))
    return [Tile(*parts) for parts in product(*(slices(*axis) for axis in axes))]


def depthwise_tiles(geometry: Geometry, itemsize: int) -> Iterator[tuple[slice, slice, slice]]:
    """Parts of the batch, the channels and the response's rows whose windows fit the budget."""
    (_, _, h, w), extent = geometry.template, geometry.extent[0]
    batch, channels, rows, columns = geometry.response
    line = columns * (w + h) * itemsize  # bytes for a row of search
    row_step = max(1, min(rows, BUDGET // line - extent + 1))
    planes = max(1, BUDGET // ((row_step + extent - 1) * line))
    channel_step = min(channels, planes)
    batch_step = max(1, planes // channel_step)
    return product(
        slices(batch, batch_step), slices(channels, channel_step), slices(rows, row_step)
    )


def slices(length: int, step: int) -> Iterator[slice]:
    """An axis in steps, the last of which may be shorter."""
    return (slice(low, min(low + step, length)) for low in range(0, length, step))
