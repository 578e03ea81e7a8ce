"""Checkpoints: every published form loads, and none runs code."""

import os
import pickle

import pytest
import torch

from siamcorr.models import (
    build_model,
    convert,
    find_weights,
    load_preset,
    load_weights,
    matching_preset,
    read_checkpoint,
)
from siamcorr.models.checkpoints import write_safetensors


@pytest.fixture
def state_dict(random_weights):
    return torch.load(random_weights, weights_only=True)["state_dict"]


@pytest.mark.parametrize("form", ["flat", "nested", "module", "nested module"])
def test_published_forms(form, state_dict, tmp_path):
    content = {f"module.{k}" if "module" in form else k: v for k, v in state_dict.items()}
    torch.save({"state_dict": content} if "nested" in form else content, tmp_path / "w.pth")
    network = build_model("nanotrack-v2", tmp_path / "w.pth")
    for key, value in network.state_dict().items():
        assert torch.equal(value, state_dict[key]), key


def test_unused_keys_are_named(random_weights):
    dropped = load_weights(build_model("nanotrack-v2"), read_checkpoint(random_weights))
    assert dropped == ["neck.downsample.0.weight"]


def test_convert_keeps_every_number(random_weights, tmp_path):
    clean = tmp_path / "clean.safetensors"
    assert convert(random_weights, clean) == ["neck.downsample.0.weight"]
    checkpoint = read_checkpoint(clean)
    assert checkpoint.metadata["preset"] == "nanotrack-v2"
    assert checkpoint.metadata["licence"] == "unknown"  # not the published file
    a, b = build_model("nanotrack-v2", random_weights), build_model("nanotrack-v2", clean)
    for key, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[key]), key
    again = tmp_path / "again.safetensors"
    convert(clean, again)
    digest = read_checkpoint(again).metadata["source_sha256"]
    assert digest == checkpoint.metadata["source_sha256"]


def test_shipped_file():
    """Its metadata are those that the preset tells of it; new weights change both."""
    preset = load_preset("siamcorr-lite")
    metadata = read_checkpoint(find_weights(preset)).metadata
    assert metadata["source_sha256"] == preset.weights.sha256
    assert metadata["licence"] == preset.weights.licence == "Apache-2.0"


@pytest.mark.video
def test_published_file(shared, tmp_path):
    convert(shared / "weights/nanotrackv2.pth", tmp_path / "v2.safetensors")
    metadata = read_checkpoint(tmp_path / "v2.safetensors").metadata
    assert metadata["licence"] == "Apache-2.0"
    assert metadata["source_sha256"] == load_preset("nanotrack-v2").weights.sha256


@pytest.mark.video
@pytest.mark.parametrize("file", ["nanotrackv1.pth", "nanotrackv3.pth"])
def test_weights_of_another_model(file, shared):
    with pytest.raises(ValueError, match=rf"{file}: not weights of nanotrack-v2.*missing ban_head"):
        build_model("nanotrack-v2", shared / "weights" / file)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape"])
def test_strict(fault, state_dict, tmp_path):
    key = "ban_head.cls_pred.0.bias"
    value = state_dict.pop(key)
    text = f"missing {key}"
    if fault == "unknown":
        state_dict |= {key: value, "backbone.extra": value}
        text = "unknown backbone.extra"
    elif fault == "shape":
        state_dict[key] = torch.zeros(7)
        text = rf"{key} is \(7,\), not \(2,\)"
    torch.save(state_dict, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=f"not weights of nanotrack-v2.*{text}"):
        build_model("nanotrack-v2", tmp_path / "w.pth")
    assert matching_preset(read_checkpoint(tmp_path / "w.pth")) is None


class Malicious:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_malicious_checkpoint_does_not_run(tmp_path):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {"a": torch.zeros(1), "b": Malicious(tmp_path / "ran")}}, path)
    with pytest.raises(ValueError, match=r"evil\.pth: refused, reading it would call \w+\.mkdir"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_malicious_pickle_does_not_run(protocol, tmp_path):
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Malicious(tmp_path / "ran"), protocol))
    with pytest.raises(ValueError, match=r"evil\.pth: (refused|not a checkpoint)"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", bytes(range(256)) * 9])
def test_no_checkpoint_at_all(suffix, content, tmp_path):
    path = (tmp_path / "w").with_suffix(suffix)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not a (checkpoint|safetensors file)"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {}}, {"a": 1}, torch.zeros(2)])
def test_no_state_dict(content, tmp_path):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="holds no state_dict of tensors"):
        read_checkpoint(tmp_path / "w.pth")


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, {"a": torch.zeros(2)}, {})
    with pytest.raises(AttributeError):
        write_safetensors(path, {"a": None}, {})  # type: ignore[dict-item]
    assert read_checkpoint(path).state_dict["a"].tolist() == [0, 0]
    assert list(tmp_path.iterdir()) == [path]


def test_find_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("SIAMCORR_SHARED", str(tmp_path / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SIAMCORR_WEIGHTS", raising=False)
    preset = load_preset("nanotrack-v2")
    with pytest.raises(FileNotFoundError, match=r"put https://\S+/nanotrackv2\.pth into \S+"):
        find_weights(preset)
    for folder, variable in (("shared/weights", None), ("siamcorr", None), ("own", "own")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "nanotrackv2.pth").touch()
        if variable:
            monkeypatch.setenv("SIAMCORR_WEIGHTS", str(tmp_path / variable))
        assert find_weights(preset) == tmp_path / folder / "nanotrackv2.pth"


def test_pretrained_finds_the_weights(tmp_path, monkeypatch):
    for name in ("SIAMCORR_SHARED", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("SIAMCORR_WEIGHTS", raising=False)
    shipped = build_model("siamcorr-lite", pretrained=True).state_dict()
    again = build_model("siamcorr-lite", find_weights(load_preset("siamcorr-lite"))).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in shipped.items())
    assert all(value.isfinite().all() for value in shipped.values())
    with pytest.raises(FileNotFoundError, match="no weights for siamfc-alexnet"):
        build_model("siamfc-alexnet", pretrained=True)
