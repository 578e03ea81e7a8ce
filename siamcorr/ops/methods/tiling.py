"""Tiling for `gemm`: split the work so that its intermediate fits a memory budget."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from siamcorr.ops.shapes import Geometry, memoize

BUDGET = 64 << 20  # bytes of the intermediate y; a tile has at least one template row
PRODUCT_ROWS = 144  # a matrix product with fewer rows does not reach full speed


class Tile(NamedTuple):
    """A part of the work whose y fits the budget: batch, outputs, template and response rows."""

    batch: slice
    outputs: slice
    cells: slice
    rows: slice

    def search_rows(self, dilation: int) -> slice:
        """The rows of search that this tile reads."""
        first, last = self.cells.start * dilation, (self.cells.stop - 1) * dilation
        return slice(self.rows.start + first, self.rows.stop + last)


@memoize
def tiles(geometry: Geometry, itemsize: int) -> list[Tile]:
    """Split the work only as far as full speed and the budget require."""
    batch, outputs, rows, _ = geometry.response
    _, _, h, w = geometry.template
    groups = -(-h // -(-PRODUCT_ROWS // max(1, w * outputs)))
    cells = -(-h // groups)

    def most(limit: int, others: int) -> int:
        """How many indices of an axis fit the budget, at `others` elements each."""
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
    """Split batch, channels and response rows so that the unfolded windows fit the budget."""
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
    """Split an axis into slices of `step`; the last one may be shorter."""
    return (slice(low, min(low + step, length)) for low in range(0, length, step))
