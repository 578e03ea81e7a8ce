"""`siamcorr track --backend` and `--compile`: the same boxes, whatever runs the network."""

import csv
import re
import shutil
import sys

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from siamcorr import build_model
from siamcorr.adaptors import backends
from siamcorr.adaptors import onnxruntime as adaptor
from siamcorr.cli import main, track
from siamcorr.data import ClipConfig, render_clip

for _name in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(_name)

BOX = "60,40,40,28"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    frames = render_clip(ClipConfig(frames=6, width=160, height=120, target=40))
    for index, (image, _) in enumerate(frames):
        cv2.imwrite(str(folder / f"{index}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random ones of siamfc-alexnet, whose norms know their features."""
    torch.manual_seed(0)
    network = build_model("siamfc-alexnet")
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():
        network.train()(255 * torch.rand(1, 3, 255, 255), 255 * torch.rand(1, 3, 127, 127))
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "siamcorr"


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory):
    """The cache's files after the first run with these weights; an export takes long."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        adaptor.onnx_network("siamfc-alexnet", weights)
    return folder / "siamcorr"


@pytest.fixture
def full_cache(exported, cache):
    shutil.copytree(exported, cache)
    return cache


def run(clip, weights, *flags):
    command = ["track", clip, "--box", BOX, "--model", "siamfc-alexnet", "--weights", weights]
    return main([str(argument) for argument in (*command, "--no-show", *flags)])


def rows(clip, weights, table, *flags):
    assert run(clip, weights, "--boxes", table, *flags) == 0
    with table.open(newline="", encoding="utf-8") as file:
        return np.array([[float(row[key]) for key in row] for row in csv.DictReader(file)])


def test_onnxruntime(clip, weights, full_cache, tmp_path, monkeypatch):
    """The checkpoint was exported into the cache; from there the graphs are taken, too."""
    (template,) = full_cache.glob("siamfc-alexnet-*-template.onnx")

    def export(*arguments):
        raise AssertionError

    monkeypatch.setattr(adaptor, "export_onnx", export)
    expected = rows(clip, weights, tmp_path / "torch.csv", "--device", "cpu")
    assert expected.shape == (6, 9)
    assert np.ptp(expected[:, 2:6], axis=0).max() > 1  # it moves
    backend = "--backend", "onnxruntime"
    found = rows(clip, weights, tmp_path / "onnx.csv", *backend)
    np.testing.assert_allclose(found, expected, atol=0.1)
    # A machine with a GPU: "auto" is no reason to refuse.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    named = template.with_name(template.name.replace("-template", ""))
    for given in (weights, named):
        again = rows(clip, given, tmp_path / "again.csv", *backend)
        np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("compiled", [False, True])
def test_compile_is_passed_on(compiled, clip, weights, monkeypatch):
    calls = []

    def for_inference(network, *, compiled):
        calls.append(compiled)
        return network

    monkeypatch.setattr(backends, "for_inference", for_inference)
    assert run(clip, weights, *["--compile"] * compiled) == 0
    assert calls == [compiled]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--device", "cuda"], "--backend onnxruntime runs on the CPU, without --compile"),
        (["--compile"], "--backend onnxruntime runs on the CPU, without --compile"),
        (["--weights", "gone.onnx"], "gone.onnx: no gone-template.onnx and gone-search-*.onnx"),
        (["--weights", "gone.pth"], "gone.pth: No such file or directory"),
        (["--backend", "torch", "--weights", "net.onnx"], "net.onnx: needs --backend onnxruntime"),
    ],
)
def test_errors_are_one_line_and_code_2(flags, text, clip, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    table = tmp_path / "out.csv"
    assert run(clip, weights, "--backend", "onnxruntime", "--boxes", table, *flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("siamcorr: ")
    assert text in err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("model", "code"), [(None, 0), ("siamfc-alexnet", 0), ("siamcorr-lite", 2)]
)
def test_graphs_of_another_model_are_refused(model, code, clip, exported, tmp_path, capsys):
    """As weights of another model are; they need not be named at all."""
    graphs = tmp_path / "net.onnx"
    for file in exported.iterdir():
        kind = re.search("(template|search-255)[.]onnx$", file.name)[0]
        shutil.copy(file, tmp_path / f"net-{kind}")
    named = [] if model is None else ["--model", model]
    command = ["track", clip, "--box", BOX, "--weights", graphs, "--backend", "onnxruntime"]
    options = [*named, "--no-show", "--max-frames", 1]
    assert main([str(argument) for argument in (*command, *options)]) == code
    text = f"{graphs}: not graphs of siamcorr-lite, they were exported from siamfc-alexnet"
    assert (text in capsys.readouterr().err) == (code == 2)


def test_auto_takes_onnxruntime_and_says_so(
    clip, weights, exported, cache, tmp_path, monkeypatch, capsys
):
    """The same boxes as by torch; its graphs are made once."""
    monkeypatch.setattr(
        adaptor, "export_onnx", lambda *_: shutil.copytree(exported, cache, dirs_exist_ok=True)
    )
    expected = rows(clip, weights, tmp_path / "torch.csv", "--device", "cpu", "--backend", "torch")
    assert capsys.readouterr().err.count("siamcorr: siamfc") == 0
    for first in (True, False):
        found = rows(clip, weights, tmp_path / "auto.csv", "--backend", "auto", "--device", "cpu")
        np.testing.assert_allclose(found, expected, atol=0.1)
        said = [line for line in capsys.readouterr().err.splitlines() if "siamfc-alexnet" in line]
        making = ["siamcorr: siamfc-alexnet: exporting graphs for onnxruntime, once"]
        assert said == making * first + ["siamcorr: siamfc-alexnet by onnxruntime"]
    assert len([*cache.glob("siamfc-alexnet-*-template.onnx")]) == 1


@pytest.mark.parametrize("cause", ["not installed", "no export", "compiled"])
def test_auto_falls_back_to_torch(cause, clip, weights, tmp_path, monkeypatch, capsys):
    if cause == "not installed":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    if cause == "no export":

        def export(*arguments):
            raise RuntimeError("no such operator\nand much more")

        monkeypatch.setattr(adaptor, "export_onnx", export)
    if cause == "compiled":
        monkeypatch.setattr(backends, "for_inference", lambda network, *, compiled: network)
    flags = ["--backend", "auto", "--device", "cpu", *["--compile"] * (cause == "compiled")]
    assert run(clip, weights, "--boxes", tmp_path / "out.csv", *flags) == 0
    reasons = {
        "not installed": " (pip install 'siamcorr[export]': it is faster)",
        "no export": " (no such operator)",
        "compiled": "",
    }
    said = f"siamcorr: siamfc-alexnet by torch on cpu{reasons[cause]}"
    assert said in capsys.readouterr().err.splitlines()


def test_auto_is_the_default_and_the_environment_changes_it(clip, weights, monkeypatch, capsys):
    asked = []

    def load_network(name, weights, device, backend, compiled, say):
        asked.append(backend)
        raise ValueError("enough")

    monkeypatch.setattr(track, "load_network", load_network)
    for value in (None, "torch"):
        monkeypatch.delenv("SIAMCORR_BACKEND", raising=False)
        if value:
            monkeypatch.setenv("SIAMCORR_BACKEND", value)
        assert run(clip, weights) == 2
    assert asked == ["auto", "torch"]
    monkeypatch.undo()
    monkeypatch.setenv("SIAMCORR_BACKEND", "fast")
    capsys.readouterr()
    assert run(clip, weights) == 2
    assert capsys.readouterr().err == (
        "siamcorr: backend must be one of auto, torch, onnxruntime, got fast\n"
    )


def test_many_targets_are_one_run(clip, weights, full_cache, tmp_path, monkeypatch):
    """Of graphs that take any batch; the boxes are those of torch."""
    counts, run_graph = [], adaptor._Graph.run

    def counted(graph, tensors):
        counts.append(len(tensors[0]))
        return run_graph(graph, tensors)

    monkeypatch.setattr(adaptor._Graph, "run", counted)
    two = "--box", "80,50,30,30"
    expected = rows(clip, weights, tmp_path / "torch.csv", "--device", "cpu", *two)
    counts.clear()
    found = rows(clip, weights, tmp_path / "onnx.csv", "--backend", "onnxruntime", *two)
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert counts[:2] == [1, 1]  # the templates
    assert set(counts[2:]) == {6}  # three scales for each of two


def touch(network, path, options):
    for what in ("template", "search-255"):
        path.with_name(f"{path.stem}-{what}.onnx").touch()


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_not_installed(name, clip, weights, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, name, None)
    if name == "onnxruntime":  # graphs from another time
        monkeypatch.setattr(adaptor, "export_onnx", touch)
    assert run(clip, weights, "--backend", "onnxruntime") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("siamcorr: ")
    assert line.endswith(": pip install 'siamcorr[export]'")


def test_unknown_backend_is_a_usage_error(clip, weights, capsys):
    with pytest.raises(SystemExit) as caught:
        run(clip, weights, "--backend", "tensorrt")
    assert caught.value.code == 2
    assert "invalid choice: 'tensorrt'" in capsys.readouterr().err
