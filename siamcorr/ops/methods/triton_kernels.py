"""The GPU kernels of method "triton"; importing this module needs triton.

All kernels sum in float32, or in float64 for float64, always in the same order, and take tensors
as contiguous planes. Most programs compute a run of cells of one plane, row by row: a response of
25x25 is 625 cells, and no lane is wasted at the edges of a 32x32 tile. Lanes past the plane's end
compute the last cell again, so that loads need no mask; their results are not stored.

Each search cell is read from memory once. Its h*w shifted loads hit the L1 and L2 caches, because
a run's neighbourhood is a few kilobytes. Template values are scalars, read once per run.
"""

import triton
import triton.language as tl


@triton.jit
def response_kernel(
    response,
    search,
    template,
    templates,
    rows,
    columns,
    height,
    width,
    h,
    dilation,
    w: tl.constexpr,
    unroll: tl.constexpr,
    block: tl.constexpr,
):
    """Response (P, rows, columns) of search (P, height, width) to template (templates, h, w).

    One program per plane and run of response cells. Plane p has template p % templates, so that a
    shared template serves every search.
    """
    wide: tl.constexpr = tl.float64 if response.dtype.element_ty == tl.float64 else tl.float32
    count = rows * columns
    plane, i, j, exists = _run_of_cells(count, columns, block)
    near = search + plane * height * width + i * width + j
    z = template + plane % templates * h * w
    total = tl.zeros((block,), wide)
    for u in range(h):
        x = near + u * dilation * width
        for v in tl.range(0, w, loop_unroll_factor=unroll):
            total += tl.load(x + v * dilation).to(wide) * tl.load(z + u * w + v).to(wide)
    at = response + plane * count + i * columns + j
    tl.store(at, total.to(response.dtype.element_ty), exists)


@triton.jit
def search_kernel(
    result,
    template,
    grad,
    templates,
    rows,
    columns,
    height,
    width,
    h,
    dilation,
    w: tl.constexpr,
    unroll: tl.constexpr,
    block: tl.constexpr,
):
    """Gradient of search, (P, height, width), to template (templates, h, w) and grad (P, rows, ..).

    result[i, j] = sum over u, v of template[u, v] * grad[i - u*dilation, j - v*dilation]

    One program per plane and run of search cells. A mask at the borders of grad replaces a padded
    copy; it costs one comparison per cell.
    """
    wide: tl.constexpr = tl.float64 if result.dtype.element_ty == tl.float64 else tl.float32
    count = height * width
    plane, i, j, exists = _run_of_cells(count, width, block)
    near = grad + plane * rows * columns + i * columns + j
    z = template + plane % templates * h * w
    total = tl.zeros((block,), wide)
    for u in range(h):
        g = near - u * dilation * columns
        row = i - u * dilation
        end = tl.where((row >= 0) & (row < rows), columns, 0).to(tl.uint32)
        for v in tl.range(0, w, loop_unroll_factor=unroll):
            inside = (j - v * dilation).to(tl.uint32) < end  # negative is large as unsigned
            value = tl.load(g - v * dilation, inside, other=0.0).to(wide)
            total += value * tl.load(z + u * w + v).to(wide)
    at = result + plane * count + i * width + j
    tl.store(at, total.to(result.dtype.element_ty), exists)


@triton.jit
def template_kernel(
    result,
    search,
    grad,
    rows,
    columns,
    height,
    width,
    h,
    w,
    dilation,
    cells: tl.constexpr,
    block: tl.constexpr,
):
    """Gradient of the templates, (P, h, w), to search (P, height, width) and grad (P, rows, ..).

    result[u, v] = sum over i, j of search[i + u*dilation, j + v*dilation] * grad[i, j]

    One program per plane and `cells` template cells. It loops over grad, `block` cells at a time,
    and reads them once for all its template cells. The sum over the lanes comes last.
    """
    wide: tl.constexpr = tl.float64 if result.dtype.element_ty == tl.float64 else tl.float32
    plane, u, v, exists = _run_of_cells(h * w, w, cells)
    count = rows * columns
    shift = search + plane * height * width + (u * width + v)[:, None] * dilation
    g = grad + plane * count
    total = tl.zeros((cells, block), wide)
    for low in range(0, count, block):
        at = low + tl.arange(0, block)[None, :]
        values = tl.load(g + at, at < count, other=0.0).to(wide)
        at = tl.minimum(at, count - 1)
        total += tl.load(shift + at // columns * width + at % columns).to(wide) * values
    at = result + plane * h * w + u * w + v
    tl.store(at, tl.sum(total, 1).to(result.dtype.element_ty), exists)


@triton.jit
def cell_sum_kernel(
    response,
    products,
    rows,
    columns,
    height,
    width,
    h,
    dilation,
    w: tl.constexpr,
    unroll: tl.constexpr,
    block: tl.constexpr,
):
    """Response (P, rows, columns) of every template cell's products (P, h, w, height, width).

    response[i, j] = sum over u, v of products[u, v, i + u*dilation, j + v*dilation]

    One program per plane and run of response cells. It reads every needed product once, without
    an intermediate.
    """
    wide: tl.constexpr = tl.float64 if response.dtype.element_ty == tl.float64 else tl.float32
    count = rows * columns
    plane, i, j, exists = _run_of_cells(count, columns, block)
    size = height * width
    near = products + plane * h * w * size + i * width + j
    total = tl.zeros((block,), wide)
    for u in range(h):
        y = near + u * (w * size + dilation * width)
        for v in tl.range(0, w, loop_unroll_factor=unroll):
            total += tl.load(y + v * (size + dilation)).to(wide)
    at = response + plane * count + i * columns + j
    tl.store(at, total.to(response.dtype.element_ty), exists)


@triton.jit
def _run_of_cells(count, columns, block: tl.constexpr):
    """This program's plane, its run of the plane's `count` cells as row and column, and a mask.

    Kernels compute addresses only from row and column, so that triton cannot detect four
    neighbouring cells. It would give all four to one lane, for a wide store, and so spread each
    load over four times as many bytes; there are h*w times as many loads as stores.
    """
    runs = tl.cdiv(count, block)
    program = tl.program_id(0)
    cell = program % runs * block + tl.arange(0, block)
    existing = tl.minimum(cell, count - 1)
    plane = (program // runs).to(tl.int64)
    return plane, existing // columns, existing % columns, cell < count
