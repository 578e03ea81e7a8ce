"""A tiny library of pictures, its pairs, and a run that is over in seconds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from training.drawn import GREEN, RED, painted, write_pictures

from siamcorr.data.synthetic.library import Library
from siamcorr.models import Preset, load_preset
from siamcorr.training import pairs
from siamcorr.training.config import DataConfig, TrainConfig
from siamcorr.training.pairs import PairDataset

DATA = DataConfig(("a",))
STILL = replace(DATA, negative=0.0, gray=0.0)


def dataset(library, preset, config=DATA, seed=0, count=10):
    """Ten pairs, unless the test says more."""
    return PairDataset(library, preset, config, count, seed)


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


@pytest.fixture
def undegraded(monkeypatch):
    """No camera, so that colours can be looked for."""
    monkeypatch.setattr(pairs, "degrade", lambda image, rng, scene: image)


@pytest.fixture
def frames(monkeypatch, undegraded):
    """Instead of scenes, a green rectangle; whoever asks again gets a red one."""
    asked = []

    def both(rng):
        asked.append(rng)
        again = len(asked) > 1 and asked[-2] is rng
        return [painted(RED if again else GREEN)] * 2

    monkeypatch.setattr(PairDataset, "_source", lambda self, rng: both)
