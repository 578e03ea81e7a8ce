"""The three contractions of every method: equal, adjoint to each other, and within their budget."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from pairs import relative
from torch import Tensor

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive
from siamcorr.ops import autograd
from siamcorr.ops.compute import ARGUMENTS, compute, usable
from siamcorr.ops.methods import conv, fft, gemm, tiling
from siamcorr.ops.shapes import Geometry, Task

# Own and shared templates, O of 1 to 3, odd and even sizes that are not square, dilation.
BATCHED = [
    Geometry("batched", (1, 2, 5, 7), (1, 2, 3, 2), 1),
    Geometry("batched", (2, 3, 8, 6), (2, 3, 3, 4), 1),
    Geometry("batched", (3, 2, 9, 7), (3, 2 * 2, 4, 3), 2),
    Geometry("batched", (3, 2, 6, 9), (1, 2 * 3, 2, 5), 1),
    Geometry("batched", (2, 1, 7, 10), (1, 1, 1, 4), 3),
    Geometry("batched", (2, 2, 4, 5), (2, 2 * 3, 4, 5), 1),
    Geometry("batched", (2, 4, 11, 6), (2, 4 * 2, 1, 1), 1),
]
DEPTHWISE = [
    Geometry("depthwise", (1, 2, 5, 7), (1, 2, 3, 2), 1),
    Geometry("depthwise", (2, 3, 8, 6), (2, 3, 3, 4), 1),
    Geometry("depthwise", (3, 4, 9, 7), (1, 4, 4, 3), 2),
    Geometry("depthwise", (2, 1, 7, 10), (1, 1, 1, 4), 3),
    Geometry("depthwise", (2, 5, 4, 5), (2, 5, 4, 5), 1),
]
GEOMETRIES = BATCHED + DEPTHWISE
METHODS = usable("cpu")

all_methods = pytest.mark.parametrize("method", METHODS)
all_geometries = pytest.mark.parametrize(
    "geometry", GEOMETRIES, ids=lambda g: f"{g.op}-{g.search}-{g.template}-{g.dilation}"
)


def tensors(geometry: Geometry, seed: int = 0) -> dict[str, Tensor]:
    """Search, template and gradient of the response."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(getattr(geometry, name), generator=generator, dtype=torch.float64)
        for name in ("search", "template", "response")
    }


def by(method: str, computed: str, geometry: Geometry, given: dict[str, Tensor]) -> Tensor:
    first, second = (given[name] for name in ARGUMENTS[computed])
    return compute(first, second, Task(computed, geometry, method))


# methods


@all_methods
@pytest.mark.parametrize("computed", ["response", "search", "template"])
@all_geometries
def test_methods_equal_conv(method, computed, geometry):
    given = tensors(geometry)
    result = by(method, computed, geometry, given)
    assert result.shape == getattr(geometry, computed)
    torch.testing.assert_close(result, by("conv", computed, geometry, given))


@pytest.mark.parametrize("budget", [1, 2000, 9000])
@pytest.mark.parametrize("method", ["gemm", "fft"])
@all_geometries
def test_methods_equal_conv_in_tiles(monkeypatch, budget, method, geometry):
    """With small budgets, which split each axis in turn."""
    monkeypatch.setattr(tiling, "BUDGET", budget)
    monkeypatch.setattr(gemm, "tiles", tiling.tiles.__wrapped__)  # no memory of other budgets
    monkeypatch.setattr(fft, "PART", budget)
    given = tensors(geometry)
    for computed in ARGUMENTS:
        expected = by("conv", computed, geometry, given)
        torch.testing.assert_close(by(method, computed, geometry, given), expected, msg=computed)


@all_methods
@all_geometries
def test_methods_are_sides_of_one_form(method, geometry):
    """sum(response * g) = sum(search gradient * x) = sum(template gradient * z)."""
    given = tensors(geometry)
    sums = [
        (by(method, computed, geometry, given) * given[computed]).sum() for computed in ARGUMENTS
    ]
    torch.testing.assert_close(sums[1], sums[0])
    torch.testing.assert_close(sums[2], sums[0])


@all_methods
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_methods_dtype(method, dtype):
    worst = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 1e-5}[dtype]
    for geometry in GEOMETRIES:
        given = {name: value.to(dtype) for name, value in tensors(geometry).items()}
        wide = {name: value.double() for name, value in given.items()}
        for computed in ARGUMENTS:
            result = by(method, computed, geometry, given)
            assert result.dtype == dtype
            assert relative(result, by("conv", computed, geometry, wide)) <= worst, (
                computed,
                geometry,
            )


# pieces


def large_geometries() -> list[Geometry]:
    sides = [(1, 16), (6, 22), (7, 31), (17, 49), (31, 63), (63, 127), (127, 255), (200, 1000)]
    counts = [(1, 1), (8, 1), (32, 1), (2, 10), (4, 64)]
    return [
        Geometry("batched", (b, 256, x, x + 9), (b, o * 256, z, z + 1), d)
        for (z, x), (b, o), d in itertools.product(sides, counts, (1, 2))
        if (z - 1) * d < x
    ]


def length(axis: slice) -> int:
    return axis.stop - axis.start


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("budget", [1, 5000, 9000])
def test_conv_sums_channels_within_its_budget(monkeypatch, budget, shared):
    """Search by search, in unequal parts, and all at once: the same numbers."""
    geometry = Geometry("batched", torch.Size((5, 3, 12, 9)), torch.Size((5, 3, 4, 3)), 1)
    if shared:
        geometry = replace(geometry, template=(1, 3, 4, 3))
    x, z = (
        torch.randn(shape, dtype=torch.float64) for shape in (geometry.search, geometry.template)
    )
    expected = conv.batched_response(x, z, geometry)
    sizes = []
    depthwise = conv.depthwise_response
    monkeypatch.setattr(conv, "BUDGET", budget)
    monkeypatch.setattr(
        conv, "depthwise_response", lambda *a: sizes.append(len(a[0])) or depthwise(*a)
    )
    torch.testing.assert_close(conv.batched_response(x, z, geometry), expected)
    each = 3 * 9 * 7 * 8
    assert sum(sizes) == 5
    assert max(sizes) == max(1, min(5, budget // each))


@pytest.mark.parametrize("budget", [1, 2000, 9000, tiling.BUDGET])
def test_tiles_keep_the_budget(monkeypatch, budget):
    """The product of a tile fits, or the tile is minimal: one template row, one response row."""
    monkeypatch.setattr(tiling, "BUDGET", budget)
    for geometry in BATCHED if budget < 10_000 else BATCHED + large_geometries():
        least = geometry.template[3] * geometry.search[3]
        for tile in tiling.tiles.__wrapped__(geometry, 4):
            rows = length(tile.search_rows(geometry.dilation))
            axes = length(tile.batch) * length(tile.outputs) * length(tile.cells)
            elements = axes * rows * least
            assert elements * 4 <= budget or elements == least, (geometry, tile)


@pytest.mark.parametrize("budget", [1, 2000, 9000])
def test_tiles_cover_the_work_once(monkeypatch, budget):
    monkeypatch.setattr(tiling, "BUDGET", budget)
    for geometry in BATCHED:
        batch, outputs, rows, _ = geometry.response
        whole = torch.zeros(batch, outputs, geometry.template[2], rows)
        for tile in tiling.tiles.__wrapped__(geometry, 8):
            whole[tile.batch, tile.outputs, tile.cells, tile.rows] += 1
        assert torch.equal(whole, torch.ones_like(whole)), geometry


def test_tiles_are_one_where_there_is_room():
    assert len(tiling.tiles(Geometry("batched", (2, 8, 16, 16), (2, 8, 4, 4)), 4)) == 1


def test_fft_transforms_are_large_enough_and_fast():
    for size in range(1, 300):
        fast = fft.fast_size(size)
        assert fast >= size
        assert math.gcd(fast, 30**9) == fast  # no prime factor above 5


# gradients


@pytest.mark.parametrize("op", [xcorr_naive, xcorr_batched, xcorr_depthwise])
@pytest.mark.parametrize("wanted", [("search",), ("template",), ("search", "template"), ()])
def test_gradients_only_those_asked_for(monkeypatch, op, wanted):
    computed = []

    def counted(first: Tensor, second: Tensor, task: Task) -> Tensor:
        computed.append(task.computed)
        return compute(first, second, task)

    monkeypatch.setattr(autograd, "compute", counted)
    x = torch.rand(2, 3, 7, 6, requires_grad="search" in wanted)
    z = torch.rand(2, 3, 3, 2, requires_grad="template" in wanted)
    response = op(x, z)
    first = ["response"] if wanted else []  # without gradients the method is called at once
    assert computed == first
    assert response.requires_grad == bool(wanted)
    if wanted:
        response.sum().backward()
    assert computed == [*first, *wanted]
    assert [x.grad is not None, z.grad is not None] == ["search" in wanted, "template" in wanted]
