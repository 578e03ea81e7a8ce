"""The benchmark: right rows, right numbers, files written; never how fast."""

import json
from dataclasses import replace

import pytest
import torch

from siamcorr.bench import Case, Limits, cases, fit, plot, run_case, table
from siamcorr.bench.measure import measure_limits, peak_memory
from siamcorr.cli import bench, main
from siamcorr.ops import kernels
from siamcorr.ops.plan import work
from siamcorr.ops.shapes import Geometry

TINY = [
    Case("naive", 2, 3, 3, 8),
    Case("batched", 2, 3, 3, 8, backward=True),
    Case("depthwise", 2, 3, 3, 8),
]
LIMITS = Limits(1e11, 1e10)


@pytest.mark.parametrize("case", [*TINY, Case("batched", 3, 4, 2, 6)])
def test_pasted_forms_equal_ours(case):
    search, template = case.tensors(torch.float64, "cpu")
    ours = cases.OPS[case.op](search, template, method="conv")
    torch.testing.assert_close(case.pasted(search, template), ours)


@pytest.mark.parametrize("case", TINY)
def test_a_row(case):
    row = run_case(case, LIMITS, torch.float32, "cpu", seconds=0.02)
    assert {"pasted", "auto", row.chosen} <= set(row.timings)
    assert all(t.low <= t.median <= t.high for t in row.timings.values())
    assert row.ratio == row.timings["pasted"].median / row.timings["auto"].median
    assert row.share > 0
    passes = 3 if case.backward else 1
    useful = passes * case.geometry.flops
    assert row.flops * row.timings["auto"].median == pytest.approx(useful)
    assert bool(row.errors) != case.backward
    assert all(error < 1e-5 for error in row.errors.values())


def test_documented_rows_exist():
    labels = {(case.op, case.label, case.backward) for case in cases.quick_cases()}
    for batch in (1, 8, 32):
        assert ("batched", f"{batch}, 256, 6/22", False) in labels
    assert ("depthwise", "8, 256, 7/31", True) in labels
    assert ("naive", "1, 64, 127/255", False) in labels
    assert len(cases.full_cases()) == 3 * 8 * 3 * 2


def test_table_and_plot(tmp_path):
    rows = [run_case(case, LIMITS, torch.float32, "cpu", seconds=0.02) for case in TINY]
    lines = table(rows, LIMITS).splitlines()
    assert lines[0] == "limits: matrix product 100 GFLOP/s, copy 10.0 GB/s"
    body = lines[4:]
    assert [line.split("|")[1].strip() for line in body] == [
        "naive",
        "batched + backward",
        "depthwise",
    ]
    assert len({line.count("|") for line in lines[2:]}) == 1
    lines = table(rows, replace(LIMITS, registers=2e11)).splitlines()
    assert lines[0].endswith(", registers 200 GFLOP/s")
    column = lines[2].split("|").index(" of registers ")
    for line, row in zip(lines[4:], rows, strict=True):
        assert line.split("|")[column].strip() == f"{row.flops / 2e11:.0%}"
    pytest.importorskip("matplotlib")
    plot(rows, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")


def test_peak_memory_sees_a_large_tensor():
    peak = peak_memory(lambda: torch.ones(16 << 20), "cpu")
    if peak is None:
        pytest.skip("this system does not tell a process's peak memory")
    assert 48 << 20 < peak < 160 << 20


def test_limits_are_positive():
    limits = measure_limits(torch.float32, "cpu")
    assert limits.flops > 1e8
    assert (limits.registers or 1e8) >= 1e8
    assert (limits.registers is None) == (kernels.module is None)
    assert limits.bandwidth > 1e8


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "quick_cases", lambda: TINY)
    monkeypatch.setattr(bench, "measure_limits", lambda *_: LIMITS)
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    out, picture = tmp_path / "rows.json", tmp_path / "ratios.png"
    options = ["--threads", "1", "--json", str(out), "--plot", str(picture)]
    assert main(["bench", "--quick", "--ops", "naive,depthwise", *options]) == 0
    assert threads == [1]
    assert picture.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "| naive | 2, 3, 3/8 |" in printed
    assert "batched" not in printed
    content = json.loads(out.read_text())
    assert [row["case"]["op"] for row in content["rows"]] == ["naive", "depthwise"]
    for row in content["rows"]:
        times = {name: timing["median"] for name, timing in row["timings"].items()}
        assert row["ratio"] == times["pasted"] / times["auto"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--ops", "naive,pixel"], "--ops: unknown operator pixel"),
        (["--threads", "0"], "--threads must be >= 1, got 0"),
        (["--device", "cuda:99"], "device cuda:99: there are"),
        (["--json", "/no/such/folder/rows.json"], "No such file or directory"),
        (["--plot", "/no/such/folder/rows.png"], "No such file or directory"),
        (["--fit", "--costs", "/no/such/folder/costs.json"], "No such file or directory"),
    ],
)
def test_command_errors(options, text, monkeypatch, capsys):
    for long in ("run_case", "fit_costs"):  # what is wrong is told before the minutes
        monkeypatch.setattr(bench, long, lambda *_: pytest.fail("measured"))
    assert main(["bench", "--quick", *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert text in lines[0]


def test_solve_recovers_costs():
    generator = torch.Generator().manual_seed(0)
    true = [1e-5, 3e-11, 2e-9]
    samples = []
    for _ in range(40):
        exponents = torch.empty(2).uniform_(4, 8, generator=generator)
        counts = [1.0, *(10 ** exponents.double()).tolist()]
        samples.append((counts, sum(a * b for a, b in zip(true, counts, strict=True))))
    costs, error = fit.solve(samples)
    assert costs == pytest.approx(true, rel=0.05)
    assert error < 0.01


def test_fit_writes_a_table_of_the_same_kind(tmp_path, monkeypatch, capsys):
    shapes = [Geometry("batched", (2, 4, 9, 9), (2, 4, k, k)) for k in (1, 2, 3)]
    monkeypatch.setattr(fit, "fit_shapes", lambda op: [replace(g, op=op) for g in shapes])
    out = tmp_path / "costs.json"
    others = {"float64": {"conv": {"batched response": [1.0]}}}
    out.write_text(json.dumps({"cpu": others}))
    assert main(["bench", "--fit", "--costs", str(out)]) == 0
    found = json.loads(out.read_text())["cpu"]
    costs = found.pop("float32")
    assert found == others  # what is known of other dtypes stays
    for method, constants in costs.items():
        for key, values in constants.items():
            op, computed = key.split()
            assert len(values) == len(work(method, replace(shapes[0], op=op), computed))
            assert all(value >= 0 for value in values)
    assert {"conv", "gemm", "fft"} <= set(costs)
