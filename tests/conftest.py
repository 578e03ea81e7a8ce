"""Fixtures that several folders of tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from siamcorr.models import SiameseNetwork, build_model

# One thread: where the machine has other work, threads that wait for each other take seconds.
torch.set_num_threads(1)

# Without a GPU triton's kernels run in its interpreter, if this is said before triton is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Graphs for onnxruntime take ten seconds to make; tests that want them say so.
os.environ["SIAMCORR_BACKEND"] = "torch"

SHARED = Path(os.environ.get("SIAMCORR_SHARED") or Path(__file__).parents[2] / "shared")


@pytest.fixture(autouse=True)
def _one_thread():
    """Also after a test of a command that was given --threads."""
    yield
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real sequences and published weights; tests skip where it is not."""
    if not (SHARED / "sequences").is_dir():
        pytest.skip(f"no real sequences and weights: SIAMCORR_SHARED is not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def nanotrack(shared: Path) -> SiameseNetwork:
    """NanoTrack v2 with its published weights."""
    return build_model("nanotrack-v2", shared / "weights" / "nanotrackv2.pth")


@pytest.fixture
def random_weights(tmp_path: Path) -> Path:
    """A checkpoint of nanotrack-v2 in its published layout, with random numbers in it."""
    torch.manual_seed(0)
    state_dict = build_model("nanotrack-v2").state_dict()
    state_dict["neck.downsample.0.weight"] = torch.zeros(1)
    path = tmp_path / "random.pth"
    torch.save({"epoch": 3, "state_dict": state_dict}, path)
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded source of random numbers."""
    return np.random.default_rng(0)


@pytest.fixture
def randomized() -> Callable[[nn.Module], nn.Module]:
    """Fill parameters and statistics at random, so that none of them is 0 or 1; float64, eval."""

    def fill(module: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(0)
        module.double()
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
                if key.endswith("running_var"):
                    value.copy_(1 + noise.abs())
                elif value.dim() > 1:  # as large as a fresh layer's
                    value.copy_(noise * value[0].numel() ** -0.5)
                else:  # a norm's weights around 1, what shifts around 0
                    value.copy_(0.3 * noise + float(key.endswith("weight")))
        return module.eval()

    return fill
