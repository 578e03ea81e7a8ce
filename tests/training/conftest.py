"""A tiny library of pictures, and a run that is over in seconds."""

from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamcorr.data.synthetic.clips import texture
from siamcorr.data.synthetic.library import Library
from siamcorr.models import Preset, load_preset
from siamcorr.training.config import DataConfig, TrainConfig


def names(suffix: str, held_out: bool) -> Iterator[str]:
    """Names of files in the held-out tenth, or in the rest."""
    for number in count():
        name = f"{number}{suffix}"
        if (sha256(name.encode()).digest()[0] % 10 == 0) == held_out:
            yield name


def photograph(seed: int, width: int = 240, height: int = 180) -> np.ndarray:
    """Much to be seen everywhere: (height, width, 3)."""
    return texture(np.random.default_rng(seed), width, height, detail=5).astype(np.uint8)


def cutout(seed: int, color: tuple[int, int, int] | None = None) -> np.ndarray:
    """An ellipse of 60 by 50 pixels with empty space around it: (100, 120, 4) BGR and alpha."""
    picture = np.zeros((100, 120, 4), np.uint8)
    picture[:, :, :3] = photograph(seed, 120, 100) if color is None else color
    alpha = cv2.ellipse(np.zeros((100, 120), np.uint8), (50, 55), (30, 25), 0, 0, 360, 255, -1)
    picture[:, :, 3] = alpha
    return picture


def write_pictures(folder: Path, color: tuple[int, int, int] | None = None) -> Path:
    """Three photographs and three cut-outs to train on and as many held out, in two folders."""
    (folder / "photos").mkdir(parents=True)
    (folder / "stamps").mkdir()
    for held_out in (False, True):
        photos, stamps = names(".jpg", held_out), names(".png", held_out)
        for seed in range(3):
            cv2.imwrite(str(folder / "photos" / next(photos)), photograph(seed))
            cv2.imwrite(str(folder / "stamps" / next(stamps)), cutout(seed, color))
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """The folder of a tiny library."""
    return write_pictures(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def library(pictures) -> Library:
    """What of it is trained on."""
    return Library([pictures])


@pytest.fixture(scope="session")
def preset() -> Preset:
    """The one that is trained."""
    return load_preset("siamcorr-lite")


@pytest.fixture
def config(pictures, tmp_path) -> TrainConfig:
    """Two epochs of two steps of two pairs; in the second one the backbone learns."""
    data = DataConfig((str(pictures),), clips=1, clip_frames=2)
    return TrainConfig(
        "siamcorr-lite",
        str(tmp_path / "run"),
        data,
        epochs=2,
        pairs=4,
        batch=2,
        warmup=1,
        unfreeze=1,
        average=0.9,
        workers=0,
    )


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """OpenCV's threads as they were: training leaves it with one."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)
