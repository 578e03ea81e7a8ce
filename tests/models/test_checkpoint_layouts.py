"""Checkpoints as training scripts write them: each layout loads the same weights, or is refused."""

import argparse
import collections
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from siamcorr.models import build_model, read_checkpoint
from siamcorr.models.checkpoint_layouts import unwrap
from siamcorr.models.pickle_placeholders import ALLOWED, Array, Dtype, Placeholder, encode


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(1)
    return build_model("nanotrack-v2").state_dict()


def behind(prefix, table):
    return {prefix + key: value for key, value in table.items()}


def other(table):
    """The last weights beside an averaged copy: the same keys, other numbers."""
    return {key: torch.zeros_like(value) for key, value in table.items()}


ARGS = argparse.Namespace(lr=0.1, output=Path("out"))
OPTIMIZER = {"lr": np.float64(0.1), "best": np.float32(3), "curve": np.arange(3.0)}

LAYOUTS = {
    "flat": lambda w: w,
    "OrderedDict": collections.OrderedDict,
    "pysot: state_dict, optimizer with numpy": lambda w: {
        "epoch": 3, "state_dict": w, "optimizer": OPTIMIZER},
    "DDP: module.": lambda w: {"state_dict": behind("module.", w)},
    "Lightning: model. beside a loss": lambda w: {
        "pytorch-lightning_version": "2.5", "hyper_parameters": {"lr": np.float64(1e-3)},
        "state_dict": {**behind("model.", w), "loss.weight": torch.ones(2)}},
    "Lightning over DDP": lambda w: {"state_dict": behind("model.module.", w)},
    "torch.compile: _orig_mod.": lambda w: {"model": behind("_orig_mod.", w)},
    "DDP of a compiled one": lambda w: behind("module._orig_mod.", w),
    "model, args as Namespace": lambda w: {"model": w, "args": ARGS, "best": np.float32(0.5)},
    "net, as ltr writes it": lambda w: {"net_type": "Net", "net": w, "stats": {"loss": [0.1]}},
    "model_state_dict, torch's tutorial": lambda w: {"epoch": 1, "model_state_dict": w},
    "timm: state_dict_ema": lambda w: {"state_dict": other(w), "state_dict_ema": w},
    "detr: model_ema": lambda w: {"model": other(w), "model_ema": w},
    "ema within module": lambda w: {"model": other(w), "ema": {"module": w, "decay": 0.999}},
    "AveragedModel: module., n_averaged": lambda w: {
        **behind("module.", w), "n_averaged": torch.tensor(5)},
    "model_ema. beside model.": lambda w: {
        "state_dict": {**behind("model.", other(w)), **behind("model_ema.", w)}},
    "arrays of numpy": lambda w: {"state_dict": {k: v.numpy() for k, v in w.items()}},
}  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, zipped, weights, tmp_path):
    path = tmp_path / ("w.ckpt" if zipped else "w.pt")
    torch.save(LAYOUTS[layout](weights), path, _use_new_zipfile_serialization=zipped)
    loaded = build_model("nanotrack-v2", path).state_dict()
    for key, value in weights.items():
        assert torch.equal(loaded[key], value), key


@pytest.mark.parametrize("prefix", ["", "module.", "model.module."])
def test_safetensors(prefix, weights, tmp_path):
    save_file(behind(prefix, weights), tmp_path / "w.safetensors")
    loaded = build_model("nanotrack-v2", tmp_path / "w.safetensors").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())


def test_keys_outside_of_the_network_are_named(weights, tmp_path):
    torch.save({**behind("model.", weights), "loss.weight": torch.ones(2)}, tmp_path / "w.pt")
    assert read_checkpoint(tmp_path / "w.pt").beside == ("loss.weight",)


def renamed(path, old, new):
    """The same pickle as another numpy would have written it: the module path differs."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
@pytest.mark.parametrize(
    "value", [np.float64(0.5), np.int32(7), np.bool_(True), np.arange(6.0).reshape(2, 3)]
)
def test_numbers_of_either_numpy(module, value, tmp_path):
    path = tmp_path / "w.pth"
    content = {"state_dict": {"a": torch.ones(1)}, "best": value}
    torch.save(content, path, _use_new_zipfile_serialization=False)  # plain text, to rename in
    here = np.float64(0).__reduce__()[0].__module__
    renamed(path, f"c{here}\n".encode(), f"c{module}\n".encode())
    assert read_checkpoint(path).state_dict["a"].tolist() == [1]


class Runs:
    """A pickle of it calls os.mkdir."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["optimizer", "ema", "args", "scalar"])
def test_nothing_runs(place, zipped, weights, tmp_path):
    evil = Runs(tmp_path / "ran")
    content = {"state_dict": dict(weights), "args": argparse.Namespace(x=evil)}
    if place != "args":
        content = {"state_dict": dict(weights), place: [evil]}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"w\.pth: refused, reading it would call \w+\.mkdir"):
        read_checkpoint(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_no_name_leads_to_numpy_or_any_other_code():
    """Allowed names lead only to our own classes and functions."""
    assert {target for target, _ in ALLOWED} == {Array, Dtype, Placeholder, encode}


def test_object_arrays_stay_closed(tmp_path):
    """numpy would unpickle the contents of an object array."""
    array = np.array([Runs(tmp_path / "ran")], object)
    torch.save({"state_dict": {"a": array}}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="refused, reading it would call"):
        read_checkpoint(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "state",
    [
        None,
        (1, (2,), "no dtype", False, b"1234"),
        (1, (-1, -1), Dtype("u1"), False, b"1"),
        (1, (9,), Dtype("f4"), False, b"short"),
        (1, (2,), Dtype("O8"), False, [1, 2]),
    ],
)
def test_a_forged_array_is_no_tensor(state):
    array = Array()
    for part in state or ():
        if isinstance(part, Dtype):
            part.state = (3, "<", None, None, None, -1, -1, 0)
    array.__setstate__(state)
    assert array.tensor() is None


def test_torchscript_is_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to drop it
        program = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
        torch.jit.save(program, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"w\.pt: refused, a TorchScript file is a program"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("depth", [1, 5, 50, 5000])
def test_deep_nesting_ends(depth, tmp_path):
    content = {"a": torch.ones(1)}
    for _ in range(depth):
        content = {"state_dict": content}
    found = unwrap(content)
    assert (found is None) == (depth > 5)


def test_bytes_of_old_pickles():
    assert encode("\xff\x00") == b"\xff\x00"
    with pytest.raises(ValueError, match="must be latin1"):
        encode("x", "zlib")
