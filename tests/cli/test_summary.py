"""siamcorr summary: models and blocks by name."""

import re
import sys

import pytest

from siamcorr.cli import main


def test_model(capsys):
    assert main(["summary", "nanotrack-v2", "--depth", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("input 1 x 3 x 255 x 255\n")
    assert re.search(r"backbone +MobileNetV3Small +1 x 48 x 16 x 16 +190,520 +[\d,]+ +319 +16", out)
    assert re.search(r"once per target: [\d,]+ multiply-adds", out)


def test_block(capsys):
    assert main(["summary", "dil_conv_5x5", "--channels", "8", "--stride", "2"]) == 0
    first = capsys.readouterr().out.splitlines()[2].split()
    # 5 x 5 depthwise, 1 x 1 and a norm; it sees 1 + 4 * 2 pixels.
    assert first == [
        "all",
        "DilConv",
        *["1", "x", "8", "x", "16", "x", "16"],
        str(200 + 64 + 16),
        f"{(200 + 64) * 256:,}",
        "9",
        "2",
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nanotrack"], "no model or block is called 'nanotrack', only"),
        (["conv_3x3", "--size", "0"], "must be >= 1"),
    ],
)
def test_errors(arguments, text, capsys):
    assert main(["summary", *arguments]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1


def test_without_torchinfo(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torchinfo", None)
    assert main(["summary", "conv_3x3"]) == 2
    assert "pip install 'siamcorr[summary]'" in capsys.readouterr().err
