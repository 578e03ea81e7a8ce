"""Method "native": the C++ kernels against loops and F.conv2d, and that nothing outside is read."""

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import reference
import torch
from pairs import all_ops, gradients, pair, relative
from torch import Tensor

from siamcorr import xcorr_depthwise
from siamcorr.ops import checks, dispatch, kernels
from siamcorr.ops.compute import ARGUMENTS, FUNCTIONS
from siamcorr.ops.methods import native
from siamcorr.ops.shapes import Geometry

pytestmark = pytest.mark.skipif(kernels.VARIANT is None, reason="there are no C++ kernels here")

VARIANTS = kernels.module.variants() if kernels.module else []
WORST = {torch.float64: 1e-14, torch.float32: 2e-6, torch.float16: 6e-4, torch.bfloat16: 4e-3}


@pytest.fixture(params=VARIANTS)
def variant(request):
    """Every set of kernels that this processor can run, one after the other."""
    kernels.module.choose(request.param)
    yield request.param
    kernels.module.choose(kernels.VARIANT)


def random_geometry(dice: random.Random, largest: int) -> Geometry:
    """A random valid geometry, mostly with small sizes or sizes near a vector's width."""
    op = dice.choice(["batched", "depthwise"])
    batch, channels = dice.choice([1, 1, 2, 3]), dice.choice([1, 2, 3, 8, 9, 17, 33])
    outputs = dice.choice([1, 1, 2, 3]) if op == "batched" else 1
    dilation = dice.choice([1, 1, 1, 2, 3])
    cells = [size for size in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 17) if size <= largest]
    edges = [size for size in (1, 2, 3, 7, 8, 9, 15, 16, 17, 25, 33) if size <= 2 * largest]
    h, w = dice.choice(cells), dice.choice(cells)
    size = [(side - 1) * dilation + dice.choice(edges) for side in (h, w)]
    template = dice.choice([1, batch]), outputs * channels, h, w
    return Geometry(op, (batch, channels, *size), template, dilation)


class FixedDice(random.Random):
    """Dice that always show the same number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def randrange(self, *_: int) -> int:
        return self.number


def lay_out(dice: random.Random, tensor: Tensor) -> Tensor:
    """The same numbers with other strides and another offset, with NaN between them."""
    kind = dice.randrange(6)
    if kind == 0:
        return tensor.contiguous(memory_format=torch.channels_last)
    if kind == 1:
        wide = tensor.new_full((*tensor.shape[:3], 2 * tensor.shape[3]), torch.nan)
        wide[..., ::2] = tensor
        return wide[..., ::2]
    if kind == 2:
        return tensor.transpose(2, 3).contiguous().transpose(2, 3)
    if kind == 3:  # not aligned to a vector
        flat = tensor.new_full((tensor.numel() + 4,), torch.nan)
        return flat[1:-3].view(tensor.shape).copy_(tensor)
    if kind == 4:
        return tensor.transpose(0, 1).contiguous().transpose(0, 1)
    return tensor


def given(geometry: Geometry, dtype: torch.dtype, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(getattr(geometry, name), generator=generator, dtype=torch.float64).to(
            dtype
        )
        for name in ("search", "template", "response")
    }


# reference


@pytest.mark.parametrize("seed", range(4))
def test_reference_fuzzed(variant, seed):
    """All contractions, dtypes, layouts and sizes against F.conv2d in float64."""
    dice = random.Random(seed)
    for _ in range(60):
        geometry, dtype = random_geometry(dice, 17), dice.choice(kernels.DTYPES)
        tensors = given(geometry, dtype, seed)
        for computed in ARGUMENTS:
            pair_ = [tensors[name] for name in ARGUMENTS[computed]]
            exact = FUNCTIONS["conv", geometry.op, computed](*(t.double() for t in pair_), geometry)
            laid = [lay_out(dice, tensor) for tensor in pair_]
            result = FUNCTIONS["native", geometry.op, computed](*laid, geometry)
            assert (result.dtype, result.shape) == (dtype, exact.shape)
            assert relative(result, exact) <= WORST[dtype], (computed, geometry, dtype)


@pytest.mark.parametrize("seed", range(3))
def test_reference_loops(variant, seed):
    """The response against plain loops."""
    dice = random.Random(100 + seed)
    for _ in range(12):
        geometry = random_geometry(dice, 4)
        x, z = (given(geometry, torch.float64, seed)[name] for name in ("search", "template"))
        expected = getattr(reference, geometry.op)(x, reference.dilated(z, geometry.dilation))
        laid = lay_out(dice, x), lay_out(dice, z)
        result = FUNCTIONS["native", geometry.op, "response"](*laid, geometry)
        torch.testing.assert_close(result, expected)


# Sides of a response: columns left over behind whole vectors, and rows shorter than one.
SIDES = [(17, 17), (33, 33), (16, 18), (40, 20), (49, 9), (15, 15), (1, 15), (33, 1), (16, 16)]


@pytest.mark.parametrize(("rows", "columns"), SIDES)
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("op", ["batched", "depthwise"])
def test_reference_left_over_columns(variant, rows, columns, dilation, op):
    """All contractions, with and without padding, of contiguous and of transposed planes."""
    search = 2, 3, rows + 4 * dilation, columns + 2 * dilation
    geometry = Geometry(op, search, (2, 3, 5, 3), dilation)
    for dtype in kernels.DTYPES:
        tensors = given(geometry, dtype, rows)
        for computed, names in ARGUMENTS.items():
            pair_ = [tensors[name] for name in names]
            exact = FUNCTIONS["conv", op, computed](*(t.double() for t in pair_), geometry)
            for turned in (False, True):
                laid = [lay_out(FixedDice(2), t) if turned else t for t in pair_]
                result = FUNCTIONS["native", op, computed](*laid, geometry)
                assert relative(result, exact) <= WORST[dtype], (computed, dtype, turned)
        x, z = tensors["search"][..., dilation:-dilation, 1:], tensors["template"]
        sides = [1, 0, dilation, dilation]
        padded = torch.nn.functional.pad(x, sides).double()
        exact = FUNCTIONS["conv", op, "response"](padded, z.double(), geometry)
        result = native.eager_response(sides)(x, z, geometry)
        assert relative(result, exact) <= WORST[dtype], dtype


@pytest.mark.parametrize("rows", [1, 13, 15, 30])
@pytest.mark.parametrize("dilation", [1, 3])
def test_reference_many_small_planes(variant, rows, dilation):
    """Neighbouring planes are computed together, a number that divides neither 37 nor the tasks."""
    sides = rows + 3 * dilation, 16 + 2 * dilation
    geometry = Geometry("depthwise", (3, 37, *sides), (3, 37, 4, 3), dilation)
    for dtype in (torch.float32, torch.float64):
        tensors = given(geometry, dtype, rows)
        x, z = tensors["search"], tensors["template"]
        exact = FUNCTIONS["conv", "depthwise", "response"](x.double(), z.double(), geometry)
        respond = native.eager_response(None)
        for kind, kind_z in [(5, 5), (3, 3), (4, 5), (5, 4), (1, 5), (5, 1), (2, 5), (5, 2)]:
            laid = lay_out(FixedDice(kind), x), lay_out(FixedDice(kind_z), z)
            assert relative(respond(*laid, geometry), exact) <= WORST[dtype], (kind, kind_z)


@pytest.mark.parametrize("turned", ["search", "template"])
def test_reference_negated_views(turned):
    """The imaginary part of a conjugate is a view whose memory has the other sign."""
    x, z = torch.randn(1, 3, 9, 9), torch.randn(1, 3, 3, 3)
    expected = xcorr_depthwise(x, z, method="conv")
    values = {"search": x, "template": z}
    values[turned] = torch.complex(values[turned], -values[turned]).conj().imag
    assert values[turned].is_neg()
    result = xcorr_depthwise(values["search"], values["template"], method="native")
    torch.testing.assert_close(result, expected)


def test_reference_expanded():
    """One plane for a whole batch, by a stride of 0."""
    x, z = (
        torch.randn(1, 1, 12, 11).expand(3, 4, -1, -1),
        torch.randn(1, 1, 3, 4).expand(3, 4, 3, 4),
    )
    torch.testing.assert_close(
        xcorr_depthwise(x, z, method="native"), xcorr_depthwise(x, z, method="conv")
    )


@all_ops
@pytest.mark.parametrize("padding", [1, 3, "same"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_reference_padding(op, padding, dilation):
    """Padding by the kernels, which do not copy search, and by F.pad."""
    x, z = pair(op, size=(9, 8))
    options = {"padding": padding, "dilation": dilation}
    expected = gradients(op, x, z, method="conv", **options)
    torch.testing.assert_close(gradients(op, x, z, method="native", **options), expected)
    with torch.no_grad():
        for layout in (torch.contiguous_format, torch.channels_last):
            laid = x.contiguous(memory_format=layout)
            result = op(laid, z, method="native", **options)
            torch.testing.assert_close(result, expected[0])


def test_padding_is_not_copied(monkeypatch):
    monkeypatch.setattr(checks, "_signatures", {})
    monkeypatch.setattr(dispatch.F, "pad", lambda *_: pytest.fail("search was copied"))
    x, z = torch.rand(1, 3, 5, 5), torch.rand(1, 3, 3, 3)
    assert xcorr_depthwise(x, z, padding=1, method="native").shape == x.shape


# known values


@all_ops
def test_known_values_impulse(variant, op):
    """An impulse returns the template rotated by 180 degrees; a flipped kernel would not."""
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    z = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    expected = [[9.0, 8, 7], [6, 5, 4], [3, 2, 1]]
    assert op(x, z, method="native")[0, 0].tolist() == expected


def test_known_values_half_precision(variant):
    """Every number of 16 bits goes through a 1x1 template of 1 unchanged; sums round to even."""
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    for dtype, columns in product((torch.float16, torch.bfloat16), (3, 256)):
        x = bits[: 2**16 // columns * columns].view(dtype).reshape(1, 1, -1, columns)
        result = xcorr_depthwise(x, torch.ones(1, 1, 1, 1, dtype=dtype), method="native")
        torch.testing.assert_close(result, x, rtol=0, atol=0, equal_nan=True)
        numbers = torch.randn(1, 1, 64, 64) * torch.logspace(-9, 6, 64)
        wide = numbers.to(dtype)
        z = torch.full((1, 1, 1, 1), 1.171875, dtype=dtype)
        result = xcorr_depthwise(wide, z, method="native")
        assert torch.equal(result, (wide.float() * z.float()).to(dtype))


@all_ops
def test_known_values_no_search(op):
    x, z = pair(op, batch=2)
    assert op(x[:0], z[:1], method="native").shape[0] == 0


def test_nan_stays_where_it_belongs(variant):
    """Cells outside a response's window do not affect it, whatever the vectors read."""
    for channels_last in (False, True):
        x, g = torch.randn(1, 9, 13, 13), torch.randn(1, 9, 9, 9)
        x[..., -1] = torch.nan
        if channels_last:
            x, g = (t.contiguous(memory_format=torch.channels_last) for t in (x, g))
        geometry = Geometry("depthwise", tuple(x.shape), (1, 9, 5, 5))
        result = native.depthwise_template(x, g, geometry)
        assert result[..., -1].isnan().all()
        assert result[..., :-1].isfinite().all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nan_stays_out_of_left_over_columns(variant, value):
    """The 17th column is computed with vectors that begin before its window."""
    x, z = torch.rand(1, 3, 22, 22), torch.rand(1, 3, 6, 6)
    x[..., 10] = value
    result = xcorr_depthwise(x, z, method="native")
    assert not result[..., 5:11].isfinite().any()
    assert result[..., :5].isfinite().all()
    assert result[..., 11:].isfinite().all()
    z[..., 2, 3] = torch.inf
    assert not xcorr_depthwise(torch.rand(1, 3, 22, 22), z, method="native").isnan().any()


def test_reference_left_over_columns_of_large_templates(variant):
    """Two columns left over, with template rows of several vectors, and more rows than a tile."""
    geometry = Geometry("depthwise", (2, 3, 40, 37), (2, 3, 9, 20))
    tensors = given(geometry, torch.float32, 0)
    exact = FUNCTIONS["conv", "depthwise", "response"](
        tensors["search"].double(), tensors["template"].double(), geometry
    )
    result = native.depthwise_response(tensors["search"], tensors["template"], geometry)
    assert relative(result, exact) <= WORST[torch.float32]


# properties


@pytest.mark.parametrize("op", ["depthwise", "batched"])
def test_same_for_every_number_of_threads(op):
    """Bitwise equal: the split of the work depends only on the sizes."""
    before, dice = torch.get_num_threads(), random.Random(7)
    geometries = [Geometry(op, (1, 256, 22, 22), (1, 256, 6, 6))]
    geometries += [replace(random_geometry(dice, 9), op=op) for _ in range(20)]
    for geometry in geometries:
        if op == "depthwise" and geometry.outputs > 1:
            continue
        tensors = given(geometry, torch.float32, 0)
        for computed in ARGUMENTS:
            results = []
            for threads in (1, 2, 3, 8):
                torch.set_num_threads(threads)
                pair_ = (tensors[name] for name in ARGUMENTS[computed])
                results.append(FUNCTIONS["native", op, computed](*pair_, geometry))
            torch.set_num_threads(before)
            assert all(torch.equal(result, results[0]) for result in results), (computed, geometry)


def test_threads_at_once():
    """Many Python threads, each with its own work."""
    x, z = torch.randn(8, 32, 29, 29), torch.randn(8, 32, 5, 5)
    expected = xcorr_depthwise(x, z, method="native")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: xcorr_depthwise(x, z, method="native"), range(60)))
    torch.set_num_threads(before)
    assert all(torch.equal(result, expected) for result in results)


FORK = """
import os, torch
from siamcorr import xcorr_depthwise
torch.set_num_threads(2)
x, z = torch.randn(8, 64, 29, 29), torch.randn(8, 64, 5, 5)
expected = xcorr_depthwise(x, z, method="native")
child = os.fork()
if child == 0:
    result = xcorr_depthwise(x, z, method="native")
    torch.set_num_threads(1)  # torch's own operators need it behind a fork
    os._exit(0 if torch.equal(result, expected) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

# A tensor that ends, or begins, at a page that nobody may touch.
GUARD = """
import ctypes, mmap, random, sys, torch
sys.path.insert(0, "tests")
sys.path.insert(0, "tests/ops")
from test_native import ARGUMENTS, FUNCTIONS, given, kernels, random_geometry, relative
from siamcorr.layers import NativePointwiseConv2d
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *3 * [ctypes.c_int], ctypes.c_long]
page = mmap.PAGESIZE
def guarded(tensor, at_end):
    size = tensor.numel() * tensor.element_size()
    pages = -(-size // page)
    start = libc.mmap(None, (pages + 2) * page, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    for edge in (start, start + (pages + 1) * page):
        assert libc.mprotect(ctypes.c_void_p(edge), page, 0) == 0
    begin = start + page + (pages * page - size if at_end else 0)
    memory = (ctypes.c_char * size).from_address(begin)
    return torch.frombuffer(memory, dtype=tensor.dtype).view(tensor.shape).copy_(tensor)
def laid(tensor, order):
    return tensor.permute(order).contiguous()
for name in kernels.module.variants():
    kernels.module.choose(name)
    dice = random.Random(1)
    for n in range(60):
        geometry, dtype = random_geometry(dice, 9), dice.choice(kernels.DTYPES)
        tensors, at_end = given(geometry, dtype, n), n % 2 == 0
        for computed in ARGUMENTS:
            pair = [tensors[name] for name in ARGUMENTS[computed]]
            exact = FUNCTIONS["conv", geometry.op, computed](*(t.double() for t in pair), geometry)
            if n % 3:
                edge = [guarded(tensor, at_end) for tensor in pair]
            else:  # channels last
                edge = [guarded(laid(t, (0, 2, 3, 1)), at_end).permute(0, 3, 1, 2) for t in pair]
            result = FUNCTIONS["native", geometry.op, computed](*edge, geometry)
            assert relative(result, exact) < 1e-2, (computed, geometry)
    for outputs in (1, 15, 40):
        for at_end in (True, False):
            conv = torch.nn.Conv2d(19, outputs, 1).requires_grad_(False)
            features = guarded(torch.randn(1, 5, 9, 19), at_end).permute(0, 3, 1, 2)
            assert relative(NativePointwiseConv2d.of(conv)(features), conv(features)) < 1e-5
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("script", [FORK, GUARD], ids=["fork", "guard page"])
def test_in_a_process_of_its_own(script):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
