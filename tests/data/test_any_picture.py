"""Pairs from unlabelled pictures: two views of the same place, from near frames."""

import cv2
import numpy as np
import pytest

from siamcorr.data.pairs import any_picture
from siamcorr.data.pairs.any_picture import FARTHEST, Anything


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def places(tmp_path):
    """A video of 60 frames, each of a different grey, and a red picture."""
    path = tmp_path / "stock" / "clip.avi"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for index in range(60):
        writer.write(np.full((48, 64, 3), 4 * index, np.uint8))
    writer.release()
    cv2.imwrite(str(path.parent / "red.png"), np.full((40, 50, 3), (0, 0, 255), np.uint8))
    return [str(path.parent)]


def test_views_are_of_neighbouring_frames(places):
    source, red, steps = Anything(places), 0, set()
    for index in range(400):
        (first, box), (second, moved) = source.pair(np.random.default_rng(index))
        assert first.shape == second.shape
        assert min(*box[2:], *moved[2:]) > 0
        if np.ptp(first[20, 20]) > 50:
            assert np.ptp(second[20, 20]) > 50
            red += 1
        else:
            steps.add(round((float(second[20, 20, 0]) - float(first[20, 20, 0])) / 4))
    assert red == pytest.approx(400 / 21, abs=15)
    assert min(steps) >= -FARTHEST
    assert max(steps) <= FARTHEST
    assert max(steps) - min(steps) > FARTHEST


def test_both_views_are_of_one_place(places, monkeypatch):
    """`photo_pair` gets a frame, and one of the same video for the second view."""
    asked = []
    monkeypatch.setattr(any_picture, "photo_pair", lambda *views: asked.append(views) or [])
    source = Anything(places)
    for index in range(50):
        source.pair(np.random.default_rng(index))
    assert all(views[0].shape == views[2].shape for views in asked)


def test_no_pictures(tmp_path):
    with pytest.raises(ValueError, match="no images or videos found"):
        Anything([str(tmp_path)])
