"""`siamcorr tune`: a study, a usable preset, and errors of one line."""

import cv2
import numpy as np
import pytest

from siamcorr.cli import main
from siamcorr.data.datasets.sequences import find_sequences
from siamcorr.evaluation.tuning import finished, open_study
from siamcorr.models import load_preset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two sequences of a bright square that moves over a dark ground."""
    folder = tmp_path_factory.mktemp("data")
    for number, step in enumerate((2, 4)):
        sequence = folder / f"square{number}"
        sequence.mkdir()
        rows = []
        for index in range(4):
            image = np.random.default_rng(0).integers(0, 60, (120, 160, 3), np.uint8)
            x = 40 + step * index
            image[50:80, x : x + 30] = (40, 200, 230)
            cv2.imwrite(str(sequence / f"{index:04}.png"), image)
            rows.append(f"{x},50,30,30\n")
        (sequence / "groundtruth.txt").write_text("".join(rows))
    return folder


def tune(*args):
    return main(["tune", *map(str, args)])


def test_writes_a_preset_and_continues(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert tune("siamcorr-lite", "--data", data, "--output", out, "--trials", 3) == 0
    text = capsys.readouterr().out
    assert "mean IoU over 2 sequences: " in text
    assert f"preset: {out / 'siamcorr-lite.toml'}" in text
    found = load_preset(str(out / "siamcorr-lite.toml"))
    own = load_preset("siamcorr-lite")
    assert (found.network, found.weights) == (own.network, own.weights)
    assert found.recipe.lost_below > 0
    sequences = find_sequences(data)
    for wanted in (3, 4):
        args = ("--data", data, "--output", out, "--trials", wanted)
        assert tune("siamcorr-lite", *args) == 0
        assert finished(open_study(out / "siamcorr-lite.journal", own, sequences)) == wanted


def test_several_processes(data, tmp_path, capsys):
    args = ("--data", data, "--output", tmp_path, "--trials", 4, "--processes", 2, "--threads", 1)
    assert tune("siamcorr-lite", *args) == 0
    assert "mean IoU over 2 sequences: " in capsys.readouterr().out


ERRORS = {
    "no model": ("nano --data {data}", "no preset is called nano"),
    "no data": ("siamcorr-lite --data {tmp}/gone", "gone"),
    "no trials": ("siamcorr-lite --data {data} --trials 0", "--trials must be >= 1, got 0"),
    "no processes": ("siamcorr-lite --data {data} --processes 0", "--processes must be >= 1"),
    "no weights": ("siamcorr-lite --data {data} --weights {tmp}/gone.pth", "gone.pth"),
    "output": ("siamcorr-lite --data {data} --output {data}/square0/groundtruth.txt", "exists"),
}


@pytest.mark.parametrize(("command", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_are_one_line_and_code_2(command, text, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tune(*command.format(data=data, tmp=tmp_path).split(" ")) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert text in err


def test_without_optuna(data, monkeypatch, capsys):
    monkeypatch.setattr("siamcorr.cli.tune.find_spec", lambda name: None)
    assert tune("siamcorr-lite", "--data", data) == 2
    assert "pip install 'siamcorr[tune]'" in capsys.readouterr().err
