"""The planner: the same shapes get the same method, and the right one where it is known."""

import itertools
import re

import pytest
import torch
from pairs import all_ops, pair
from torch._dynamo.testing import CompileCounterWithBackend

from siamcorr import explain
from siamcorr.ops import checks, compute, dispatch, kernels
from siamcorr.ops.methods import native
from siamcorr.ops.plan import COSTS, choose, predict, work
from siamcorr.ops.shapes import Geometry

NATIVE = kernels.available("cpu")
WANTS = ["response", "search", "template"]


def square(op: str, batch: int, channels: int, z: int, x: int) -> Geometry:
    return Geometry(op, (batch, channels, x, x), (batch, channels, z, z))


GEOMETRIES = [
    square(op, batch, channels, z, x)
    for op, batch, channels, (z, x) in itertools.product(
        ["batched", "depthwise"], [1, 8], [1, 256], [(1, 1), (6, 22), (17, 49), (127, 255)]
    )
]


KNOWN = [  # where one method is many times faster than the next, on any CPU
    ("native" if NATIVE else "gemm", square("batched", 8, 256, 6, 22)),
    ("fft", square("batched", 1, 64, 127, 255)),
    ("fft", square("depthwise", 1, 64, 127, 255)),
    ("native" if NATIVE else "conv", square("depthwise", 8, 256, 5, 29)),
]


# choices


@pytest.mark.parametrize(("method", "geometry"), KNOWN)
def test_known_choices(method, geometry):
    assert choose("response", geometry, torch.float32, "cpu") == method


def test_deterministic():
    """The cached answer equals the computed one."""
    for geometry, computed in itertools.product(GEOMETRIES, WANTS):
        answers = {choose(computed, geometry, torch.float32, "cpu") for _ in range(3)}
        answers.add(choose.__wrapped__(computed, geometry, torch.float32, "cpu"))
        costs = predict(computed, geometry, torch.float32, "cpu")
        assert answers == {min(costs, key=costs.get)}


def test_prepared_templates_cost_less():
    """By fft alone, which need not transform them again."""
    for _, geometry in KNOWN:
        for method in ("conv", "gemm", "native"):
            assert work(method, geometry, "response", True) == work(method, geometry, "response")
        ready = work("fft", geometry, "response", True)
        assert sum(ready) < sum(work("fft", geometry, "response"))
        plain = predict("response", geometry, torch.float32, "cpu")
        ready = predict("response", geometry, torch.float32, "cpu", True)
        assert ready["fft"] < plain["fft"]


@all_ops
def test_independent_of_values_and_layout(monkeypatch, op):
    ran = []

    def recorded(key, function):
        def run(*args):
            ran.append(key)
            return function(*args)

        return run

    functions = {key: recorded(key, function) for key, function in compute.FUNCTIONS.items()}
    eager = native.eager_response
    monkeypatch.setattr(dispatch, "FUNCTIONS", functions)
    monkeypatch.setattr(native, "eager_response", lambda sides: recorded("native", eager(sides)))
    monkeypatch.setattr(checks, "_signatures", {})
    x, z = pair(op, dtype=torch.float32)
    last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, z)]
    for search, template in [(x, z), (x * 0, z * 0), (x / 0, z), last]:
        op(search, template)
    assert len(ran) == 4
    assert len(set(ran)) == 1


# compile


@all_ops
def test_compile_one_graph(op):
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(op, backend=counter)
    x, z = pair(op)
    for seed in range(3):
        x, z = pair(op, seed=seed)
        torch.testing.assert_close(compiled(x, z), op(x, z))
    assert counter.frame_count == 1


def test_compile_same_choice():
    names = ["conv", "gemm", "fft", "native"]

    def choices() -> list[int]:
        found = [choose("response", geometry, torch.float32, "cpu") for _, geometry in KNOWN]
        return [names.index(name) for name in found]

    def add_choices(x: torch.Tensor) -> torch.Tensor:
        return x + torch.tensor(choices())

    torch.compiler.reset()
    compiled = torch.compile(add_choices, fullgraph=True, backend="eager")
    expected = [names.index(name) for name, _ in KNOWN]
    assert compiled(torch.zeros(())).tolist() == choices() == expected


# costs


@pytest.mark.parametrize(("device", "dtype"), [(d, t) for d, table in COSTS.items() for t in table])
def test_costs_are_complete(device, dtype):
    """A cost for each count of work of each method's contractions, none negative."""
    table = COSTS[device][dtype]
    assert set(table) >= {"conv", "gemm", "fft"}
    for method, prices in table.items():
        assert set(prices) == {f"{op} {part}" for op in ("batched", "depthwise") for part in WANTS}
        for name, constants in prices.items():
            op, computed = name.split()
            counts = work(method, square(op, 2, 3, 3, 7), computed)
            assert len(constants) == len(counts), (method, name)
            assert all(price >= 0 for price in constants), (method, name)
            assert sum(constants) > 0, (method, name)


def test_costs_grow_with_the_batch():
    for computed, method in itertools.product(WANTS, ["conv", "gemm", "fft"]):
        for op in ("batched", "depthwise"):
            few, many = (
                predict(computed, square(op, batch, 64, 7, 31), torch.float32, "cpu")[method]
                for batch in (1, 32)
            )
            assert few < many, (computed, method, op)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps", "meta", "unheard-of"])
def test_costs_fall_back(dtype, device):
    """Unmeasured devices and dtypes use measured costs."""
    for computed in WANTS:
        method = choose(computed, square("batched", 8, 256, 6, 22), dtype, device)
        assert method in compute.METHODS


# explain


def test_explain(capsys):
    explain((8, 256, 22, 22), (8, 256, 6, 6), op="batched")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "xcorr_batched: search (8, 256, 22, 22), template (8, 256, 6, 6), torch.float32 on cpu"
    )
    titles = ["response (8, 1, 17, 17)", "gradient of search", "gradient of template"]
    geometry = square("batched", 8, 256, 6, 22)
    for line, computed, title in zip(lines[1:4], WANTS, titles, strict=True):
        costs = predict(computed, geometry, torch.float32, "cpu")
        chosen = choose(computed, geometry, torch.float32, "cpu")
        assert line.startswith(f"  {title}: {chosen} (predicted: ")
        listed = dict(re.findall(r"(\w+) ([\d.e+-]+) ms", line))
        assert list(listed) == list(costs)
        for name, cost in costs.items():
            assert float(listed[name]) == pytest.approx(cost * 1e3, rel=0.01)


def test_explain_options(capsys):
    options = {"op": "naive", "padding": "same", "dilation": 2, "dtype": torch.bfloat16}
    explain((2, 3, 9, 8), (5, 3, 3, 2), device="cuda", **options)
    out = capsys.readouterr().out
    assert "torch.bfloat16 on cuda" in out
    assert "response (2, 5, 9, 8)" in out


@pytest.mark.parametrize(
    ("search", "template", "options", "text"),
    [
        ((2, 3, 8, 8), (2, 3, 9, 9), {}, "xcorr_depthwise: the template must lie inside"),
        ((2, 3, 8), (2, 3, 4, 4), {}, "search must have 4 dimensions, got 3"),
        ((2, 3, 8, 8), (2, 4, 4, 4), {}, "equally many channels, got 3 and 4"),
        ((4, 3, 8, 8), (2, 3, 4, 4), {"op": "batched"}, "xcorr_batched: the template batch"),
        ((2, 3, 8, 8), (2, 3, 4, 4), {"op": "pixelwise"}, "op must be one of naive.*'pixelwise'"),
        ((2, 3, 8, 8), (2, 3, 4, 4), {"dilation": 0}, "dilation must be an int >= 1, got 0"),
        ((2, 3, 8, 8), (2, 3, 4, 4), {"padding": "full"}, "padding must be.*'full'"),
        ((2, 3, 8, 8), (2, 3, 4, 4), {"device": "gpu"}, "^explain: .*device type.* gpu"),
        ((2, -3, 8, 8), (2, 3, 4, 4), {}, "^explain: .*negative"),
    ],
)
def test_explain_errors(search, template, options, text, capsys):
    with pytest.raises(ValueError, match=text):
        explain(search, template, **options)
    assert capsys.readouterr().out == ""
