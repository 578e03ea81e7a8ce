"""Pictures of scenes: walls, photographs, cut-outs, blobs and printed objects."""

import numpy as np
import pytest
from training.drawn import write_pictures

from siamcorr.data.synthetic.library import Library
from siamcorr.data.synthetic.pictures import actor_picture, background_picture
from siamcorr.data.synthetic.scene_config import SceneConfig


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return Library([write_pictures(tmp_path_factory.mktemp("pictures") / "all")])


def seeded(seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_a_wall_is_plain(library, seed):
    wall = background_picture(library, seeded(seed), SceneConfig(walls=1)).astype(float)
    assert wall.shape == (360, 480, 3)
    assert np.abs(np.diff(wall, axis=0)).mean() < 1.5
    assert np.abs(np.diff(wall, axis=1)).mean() < 1.5
    assert (wall.std(axis=(0, 1)) < 40).all()


def test_walls_differ(library):
    walls = [background_picture(library, seeded(s), SceneConfig(walls=1)).mean() for s in range(12)]
    assert np.ptp(walls) > 60


def test_share_of_walls(library, monkeypatch):
    asked = []
    photo = library.photo
    monkeypatch.setattr(library, "photo", lambda rng: asked.append(0) or photo(rng))
    for seed in range(60):
        background_picture(library, seeded(seed), SceneConfig(walls=0.5))
    assert 18 < len(asked) < 42


@pytest.mark.parametrize("seed", range(6))
def test_a_printed_object(library, seed, monkeypatch):
    """Mostly of one colour, without holes, with a photograph on a part of it."""
    loud = np.zeros((200, 200, 3), np.uint8)
    loud[::2], loud[1::2] = (255, 0, 255), (0, 255, 0)
    monkeypatch.setattr(library, "photo", lambda rng: loud)
    picture = actor_picture(library, seeded(seed), SceneConfig(printed=1))
    height, width, channels = picture.shape
    assert channels == 4
    assert max(height, width) == 240
    assert (picture[:, :, 3] > 127).mean() > 0.7
    assert (picture[height // 2, :, 3] > 127).all()  # from side to side
    assert (picture[:, width // 2, 3] > 127).all()
    rough = np.abs(np.diff(picture[:, :, :3].astype(int), axis=0)).max(axis=2) > 25
    assert 0.01 < rough.mean() < 0.6


def test_share_of_printed_objects(library):
    sides = [
        max(actor_picture(library, seeded(seed), SceneConfig(printed=0.5)).shape[:2])
        for seed in range(60)
    ]
    assert 15 < sum(side == 240 for side in sides) < 45
    plain = [max(actor_picture(library, seeded(s), SceneConfig()).shape[:2]) for s in range(60)]
    assert sum(side == 240 for side in plain) < 5


def test_same_seed_same_picture(library):
    config = SceneConfig(printed=0.5, walls=0.5)
    for make in (actor_picture, background_picture):
        for seed in range(4):
            one, other = (make(library, seeded(seed), config) for _ in "ab")
            np.testing.assert_array_equal(one, other)
