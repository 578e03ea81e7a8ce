"""`siamcorr bench`: the selected device, and errors before the measurement."""

from types import SimpleNamespace

import pytest
import torch

from siamcorr.cli import bench, main


@pytest.fixture
def measured(monkeypatch):
    """A machine with two GPUs and no time: what was measured on, and what was made current."""
    seen = SimpleNamespace(devices=[], current=[])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", seen.current.append)
    monkeypatch.setattr(bench, "quick_cases", list)
    monkeypatch.setattr(bench, "measure_limits", lambda dtype, device: seen.devices.append(device))
    monkeypatch.setattr(bench, "table", lambda rows, limits: "")
    return seen


@pytest.mark.parametrize(
    ("device", "kind", "current"),
    [("cpu", "cpu", []), ("cuda", "cuda", []), ("cuda:1", "cuda", [torch.device("cuda:1")])],
)
def test_the_selected_device_is_measured(device, kind, current, measured):
    assert main(["bench", "--quick", "--device", device]) == 0
    assert (measured.devices, measured.current) == ([kind], current)


@pytest.mark.parametrize("option", ["--json", "--plot", "--fit --costs"])
def test_outputs_that_are_folders_fail_before_measuring(
    option, measured, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(bench, "fit_costs", lambda *_: pytest.fail("measured"))
    assert main(["bench", "--quick", *option.split(), str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"siamcorr: {tmp_path}: Is a directory\n"
    assert measured.devices == []


def test_an_interrupt_leaves_no_empty_files(measured, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    for name in ("measure_limits", "fit_costs"):
        monkeypatch.setattr(bench, name, interrupt)
    files = ["--json", "a.json", "--plot", "a.png", "--costs", "a.costs"]
    files = [part if part.startswith("--") else str(tmp_path / part) for part in files]
    for flags in ([], ["--fit"]):
        assert main(["bench", "--quick", *files, *flags]) == 130
    assert list(tmp_path.iterdir()) == []


def test_plot_without_matplotlib(measured, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    assert main(["bench", "--quick", "--plot", str(tmp_path / "a.png")]) == 2
    text = "siamcorr: --plot needs matplotlib: pip install 'siamcorr[plot]'\n"
    assert capsys.readouterr().err == text
    assert measured.devices == []
