"""`siamcorr convert`: a file that loads again, or one line and nothing left behind."""

import hashlib
import os

import cv2
import pytest
import torch
from safetensors import safe_open

from siamcorr import build_model
from siamcorr.cli import main
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import read_checkpoint


def convert(source, destination, *flags):
    return main(["convert", str(source), str(destination), *flags])


def metadata(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


@pytest.fixture
def clean(random_weights, tmp_path):
    path = tmp_path / "clean.safetensors"
    assert convert(random_weights, path) == 0
    return path


def test_prints_what_was_written(random_weights, tmp_path, capsys):
    clean = tmp_path / "clean.safetensors"
    assert convert(random_weights, clean) == 0
    out = capsys.readouterr().out
    assert "dropped neck.downsample.0.weight (never called by the network)" in out
    network = build_model("nanotrack-v2", random_weights)
    tensors = network.state_dict().values()
    assert f"{len(tensors)} tensors, {sum(tensor.numel() for tensor in tensors)} numbers" in out
    for key, value in metadata(clean).items():
        assert f"{key}: {value}" in out


def test_metadata_names_preset_origin_and_licence(random_weights, clean):
    assert metadata(clean) == {
        "preset": "nanotrack-v2",
        "source_sha256": hashlib.sha256(random_weights.read_bytes()).hexdigest(),
        "licence": "unknown",  # these are nobody's published weights
        "source": "random.pth",
    }


def test_track_takes_the_result(random_weights, clean, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    frames = list(render_clip(ClipConfig(frames=3, width=160, height=120, target=40)))
    for index, (image, _) in enumerate(frames):
        cv2.imwrite(str(folder / f"{index}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    tables = []
    for weights in (random_weights, clean):
        table = tmp_path / f"{weights.stem}.csv"
        arguments = ["--box", "60,40,40,28", "--no-show", "--boxes", str(table)]
        assert main(["track", str(folder), "--weights", str(weights), *arguments]) == 0
        tables.append(table.read_text())
    assert tables[0] == tables[1]
    assert tables[0].count("\n") == 4


def test_converted_again_it_keeps_its_origin(clean, tmp_path, capsys):
    again = tmp_path / "again.safetensors"
    capsys.readouterr()
    assert convert(clean, again, "--model", "nanotrack-v2") == 0
    assert "dropped" not in capsys.readouterr().out
    assert metadata(again)["source_sha256"] == metadata(clean)["source_sha256"]


class Malicious:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_malicious_pickle_is_refused(tmp_path, capsys):
    source, proof = tmp_path / "evil.pth", tmp_path / "ran"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": Malicious(proof)}, source)
    assert convert(source, tmp_path / "out.safetensors") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"siamcorr: {source}: refused, reading it would call ")
    assert line.endswith("mkdir")
    assert list(tmp_path.iterdir()) == [source]
    torch.load(source, weights_only=False)  # the file is a real danger, where nobody looks
    assert proof.exists()


@pytest.mark.parametrize(
    ("source", "destination", "text"),
    [
        ("random.pth", "out.pth", "out.pth: the name must end in .safetensors"),
        ("random.pth", "gone/out.safetensors", "out.safetensors: "),
        ("gone.pth", "out.safetensors", "gone.pth: No such file or directory"),
        ("notes.pth", "out.safetensors", "notes.pth: not a checkpoint"),
        ("other.pth", "out.safetensors", "other.pth: fits no known preset (dcfnet, nanotrack-v1"),
    ],
)
def test_errors(source, destination, text, random_weights, tmp_path, capsys):
    (tmp_path / "notes.pth").write_text("no checkpoint")
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "other.pth")
    before = sorted(tmp_path.rglob("*"))
    assert convert(tmp_path / source, tmp_path / destination) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("siamcorr: ")
    assert text in err
    assert sorted(tmp_path.rglob("*")) == before


def test_failure_keeps_what_was_there(clean, tmp_path):
    content = clean.read_bytes()
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "other.pth")
    assert convert(tmp_path / "other.pth", clean) == 2
    assert clean.read_bytes() == content


def test_unknown_model_is_a_usage_error(random_weights, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        convert(random_weights, tmp_path / "out.safetensors", "--model", "siamfoo")
    assert caught.value.code == 2
    assert "invalid choice: 'siamfoo'" in capsys.readouterr().err


def test_half_precision(random_weights, clean, tmp_path):
    """Half the size, and a network whose weights differ by rounding alone."""
    small = tmp_path / "small.safetensors"
    assert convert(random_weights, small, "--half") == 0
    assert small.stat().st_size < 0.6 * clean.stat().st_size
    exact, rounded = (build_model("nanotrack-v2", path).state_dict() for path in (clean, small))
    for key, value in exact.items():
        assert rounded[key].dtype == value.dtype
        torch.testing.assert_close(rounded[key], value, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("value", [1e5, 1e-7])
def test_half_precision_keeps_what_does_not_fit(value, random_weights, tmp_path):
    """A variance above 65504 would become infinite, and a tiny one would lose its digits."""
    state = read_checkpoint(random_weights).state_dict
    key = "backbone.features.0.1.running_var"
    state[key] = torch.full_like(state[key], value)
    torch.save(state, tmp_path / "wide.pth")
    small = tmp_path / "small.safetensors"
    assert convert(tmp_path / "wide.pth", small, "--half") == 0
    found = build_model("nanotrack-v2", small).state_dict()
    assert all(part.isfinite().all() for part in found.values())
    assert torch.equal(found[key], state[key])
    written = read_checkpoint(small).state_dict
    kept = {name for name, part in written.items() if part.dtype == torch.float32}
    assert kept == {key}
