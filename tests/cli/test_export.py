"""`siamcorr export`: graphs that are listed, or one line and nothing left behind."""

import re
import sys
from dataclasses import replace

import pytest
import torch

from siamcorr import build_model
from siamcorr.adaptors.onnx import ExportOptions
from siamcorr.adaptors.onnxruntime import OnnxNetwork
from siamcorr.cli import export, main

for _name in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(_name)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Of siamfc-alexnet, where they are looked for."""
    for name in ("SIAMCORR_SHARED", "SIAMCORR_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "kept"))
    torch.manual_seed(0)
    path = tmp_path / "kept" / "siamfc_alexnet_e50.pth"
    path.parent.mkdir()
    torch.save(build_model("siamfc-alexnet").state_dict(), path)
    return path


def test_lists_what_was_written(weights, tmp_path, capsys):
    out = tmp_path / "net.onnx"
    assert main(["export", "siamfc-alexnet", str(out)]) == 0
    printed, err = capsys.readouterr()
    assert err == ""
    listed = dict(
        re.fullmatch(r"(.*): ([\d.]+) MiB", line).groups() for line in printed.split("\n")[:-1]
    )
    files = [tmp_path / f"net-{what}.onnx" for what in ("template", "search-255")]
    assert [*listed] == [str(file) for file in files]
    assert sorted(tmp_path.glob("*.*")) == sorted(files)
    for file in files:
        assert float(listed[str(file)]) == pytest.approx(file.stat().st_size / 2**20, abs=0.06)

    network, loaded = build_model("siamfc-alexnet", weights), OnnxNetwork(out)
    crop, image = (255 * torch.rand(count, 3, size, size) for count, size in ((1, 127), (3, 255)))
    with torch.no_grad():
        maps = network.search(image, network.template(crop))
    found = loaded.search(image, loaded.template(crop))
    torch.testing.assert_close(found.logits, maps.logits, rtol=1e-3, atol=1e-4)


def test_options(weights, tmp_path, monkeypatch):
    """Each reaches the export; tests/adaptors/test_onnx_options.py says what it does there."""
    asked = []

    def write(network, path, options):
        asked.append(options)
        return []

    monkeypatch.setattr(export, "export_onnx", write)
    out = tmp_path / "net.onnx"
    for flags in ([], ["--opset", "17", "--half"], ["--dynamic-batch"], ["--correlation", "conv"]):
        assert main(["export", "siamfc-alexnet", str(out), *flags]) == 0
    changes = {}, {"opset": 17, "half": True}, {"dynamic_batch": True}, {"correlation": "conv"}
    assert asked == [replace(ExportOptions(), **change) for change in changes]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            "siamfc-alexnet {tmp}/net.onnx --dynamic-batch --correlation conv",
            "correlation conv: its groups are the batch, which cannot be dynamic",
        ),
        ("siamfc-alexnet {tmp}/net.onnx --opset 12", "opset 12: graphs can be written in 13 to "),
        ("nanotrack-v2 {tmp}/net.onnx", "no weights for nanotrack-v2 on this machine: "),
        ("siamfc-alexnet {tmp}/net.pb", "net.pb: the name must end in .onnx"),
        ("nanotrack-v2 {tmp}/net.onnx --weights {tmp}/gone.pth", "gone.pth: No such file"),
        ("nanotrack-v1 {tmp}/net.onnx --weights {weights}", "they fit siamfc-alexnet"),
        ("dcfnet {tmp}/net.onnx --weights {dcfnet}", "dcfnet: its template is a complex spectrum"),
    ],
)
def test_errors_are_one_line_and_code_2(command, text, weights, tmp_path, capsys):
    dcfnet = tmp_path / "kept" / "any.pth"
    torch.save(build_model("dcfnet").state_dict(), dcfnet)
    arguments = command.format(tmp=tmp_path, weights=weights, dcfnet=dcfnet).split()
    assert main(["export", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("siamcorr: ")
    assert text in err
    assert [*tmp_path.iterdir()] == [tmp_path / "kept"]


def test_not_installed(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", "siamfc-alexnet", str(tmp_path / "net.onnx")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("siamcorr: ")
    assert line.endswith(": pip install 'siamcorr[export]'")


def test_unknown_model_is_a_usage_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["export", "siamfoo", str(tmp_path / "net.onnx")])
    assert caught.value.code == 2
    assert "invalid choice: 'siamfoo'" in capsys.readouterr().err
