"""`--device`: valid names, and the error for all others."""

import pytest
import torch

from siamcorr.cli.device import choose_device


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("auto", "cuda"),
        ("cpu", "cpu"),
        ("cuda", "cuda"),
        ("cuda:0", "cuda:0"),
        ("cuda:1", "cuda:1"),
    ],
)
def test_known(name, device):
    assert choose_device(name) == torch.device(device)


ARABIC_ONE = "\u0661"
UNKNOWN = ["", "gpu", "cpu:", "cpu:0", "cpu:1", f"cpu:{ARABIC_ONE}", "cuda:", f"cuda:{ARABIC_ONE}",
           "cuda:01", "cuda:-1", "cuda:1\n"]  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown(name):
    with pytest.raises(ValueError, match=r"^device must be auto, cpu, cuda or cuda:N, got "):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda:2", "cuda:99999999999999999999"])
def test_not_there(name):
    with pytest.raises(ValueError, match=f"^device {name}: there are 2 CUDA devices here$"):
        choose_device(name)
