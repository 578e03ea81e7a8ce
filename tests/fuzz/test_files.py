"""Presets and run files of any values: each is taken, or refused in one line."""

import tomllib

import pytest
import torch
from fuzz.values import VALUES, changed, document, paths
from hypothesis import given, settings
from hypothesis import strategies as st

from siamcorr.cli import main
from siamcorr.models import assemble, load_preset
from siamcorr.models.presets import Preset, configs_dir
from siamcorr.training.config import TrainConfig, load_config

fuzz = settings.get_profile("fuzz")

PRESETS = [
    tomllib.loads((configs_dir() / f"{name}.toml").read_text())
    for name in ("nanotrack-v2", "siamfc-alexnet", "siamrpnpp-mobilenetv2")
]
RUN = {"model": "siamcorr-lite", "output": "out", "data": {"folders": ["pictures"]}}


def refusal(function, *arguments):
    """What it says; None where it takes its arguments. Anything but a ValueError is a fault."""
    try:
        function(*arguments)
    except ValueError as error:
        text = str(error)
        assert text
        assert len(text) < 1000
        return text
    return None


def build(path):
    with torch.device("meta"):
        assemble(load_preset(str(path)))


@fuzz
@given(
    st.sampled_from(PRESETS),
    st.lists(st.tuples(st.sampled_from([*paths(Preset)]), VALUES), min_size=1, max_size=3),
)
def test_presets(tmp_path, table, changes):
    for path, value in changes:
        table = changed(table, path, value)
    file = tmp_path / "preset.toml"
    file.write_text(document(table), encoding="utf-8")
    refusal(build, file)


@fuzz
@given(st.lists(st.tuples(st.sampled_from([*paths(TrainConfig)]), VALUES), min_size=1, max_size=3))
def test_run_files(tmp_path, changes):
    table = RUN
    for path, value in changes:
        table = changed(table, path, value)
    file = tmp_path / "run.toml"
    file.write_text(document(table), encoding="utf-8")
    refusal(load_config, file)


@fuzz
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_as_a_file(tmp_path, content):
    file = tmp_path / "run.toml"
    file.write_bytes(content)
    assert refusal(load_config, file)
    assert refusal(load_preset, str(file))


@fuzz
@given(st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_any_changes(tmp_path, changes):
    file = tmp_path / "run.toml"
    file.write_text(document(RUN), encoding="utf-8")
    refusal(load_config, file, changes)


NESTED = {
    "lists": "a = " + "[" * 20_000 + "]" * 20_000,
    "tables": "a = " + "{b = " * 20_000 + "1" + "}" * 20_000,
    "dotted": ".".join(["a"] * 20_000) + " = 1",
    "digits": "epochs = " + "9" * 100_000,
    "key": "k" * 100_000 + " = 1",
    "huge": "#" * (2 << 20),
    "many": "model = [" + "1," * 100_000 + "]",
}


@pytest.mark.parametrize("content", NESTED.values(), ids=NESTED)
def test_nested_and_huge_files(content, tmp_path, capsys):
    file = tmp_path / "run.toml"
    file.write_text(content, encoding="utf-8")
    assert refusal(load_config, file)
    assert refusal(load_preset, str(file))
    assert main(["train", str(file), "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("siamcorr: ")


def test_nested_changes(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(document(RUN), encoding="utf-8")
    assert refusal(load_config, file, ["epochs=" + "[" * 20_000])
    assert refusal(load_config, file, [".".join(["a"] * 20_000) + "=1"])
    assert refusal(load_config, file, ["epochs=" + "9" * 10_000])
