"""Pairs whose search crop does not show the target, and those around another place."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from training.conftest import STILL, dataset
from training.drawn import BOX, GREEN, RED, found, painted, photograph, write_pictures

from siamcorr.training.pairs import PairDataset


def test_negative_pairs_show_another_target(library, preset, frames):
    made = dataset(library, preset, replace(STILL, negative=0.3))
    present = []
    for index in range(120):
        pair = made[index]
        present.append(pair.present.item())
        template, other = (GREEN, RED) if pair.present else (RED, GREEN)
        assert found(pair.template, template)[2] > 0
        assert found(pair.template, other) == [0, 0, 0, 0]
        assert found(pair.search, GREEN) == pytest.approx(pair.box.tolist(), abs=1.1)
    assert set(present) == {0.0, 1.0}
    assert np.mean(present) == pytest.approx(0.7, abs=0.12)


def test_a_blank_search_shows_no_target(library, preset):
    made = dataset(library, preset, replace(STILL, blank=0.5))
    pairs = [made[index] for index in range(60)]
    blank = [pair.search.float().std(dim=(1, 2)).max() < 16 for pair in pairs]
    assert [not pair.present for pair in pairs] == blank
    assert np.mean(blank) == pytest.approx(0.5, abs=0.15)
    assert all(pair.marked for pair in pairs)
    middles = [float(pair.search.float().mean()) for pair in pairs if not pair.present]
    assert min(middles) < 10
    assert max(middles) > 60


def test_a_template_of_another_picture_is_a_known_absence(library, preset, tmp_path):
    path = tmp_path / "pictures" / "one.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), photograph(0, 320, 240))
    shares = {"scenes": 0.0, "photos": 0.0, "anything": 1.0}
    config = replace(STILL, **shares, negative=0.5, pictures=(str(path.parent),))
    made = dataset(library, preset, config, count=100)
    pairs = [(float(made[index].present), float(made[index].marked)) for index in range(100)]
    assert {*pairs} == {(1.0, 0.0), (0.0, 1.0)}


def test_a_covered_target_is_not_there(library, preset, frames):
    """Some part of another picture is in front of the whole target, and a bit more."""
    made = dataset(library, preset, replace(STILL, covered=0.5))
    pairs = [made[index] for index in range(60)]
    seen = [found(pair.search, GREEN) != [0, 0, 0, 0] for pair in pairs]
    assert [bool(pair.present) for pair in pairs] == seen
    assert np.mean(seen) == pytest.approx(0.5, abs=0.15)
    assert all(found(pair.template, GREEN)[2] > 0 and pair.marked for pair in pairs)


def test_a_crop_elsewhere_does_not_show_the_target(library, preset, frames):
    made = dataset(library, preset, replace(STILL, elsewhere=1.0))
    pairs = [made[index] for index in range(60)]
    for pair in pairs:
        left, top, right, bottom = pair.box
        out = left >= 255 or top >= 255 or right <= 0 or bottom <= 0
        assert out == (not pair.present) == (found(pair.search, GREEN) == [0, 0, 0, 0])
        assert pair.marked
    assert 0.3 < np.mean([not pair.present for pair in pairs]) < 1


@pytest.mark.parametrize("change", [{"covered": 1.0}, {"elsewhere": 1.0}])
def test_absence_is_known_in_any_picture(library, preset, tmp_path, change):
    """Only a teacher knows what is right there, but a hidden place is surely not in sight."""
    write_pictures(tmp_path)
    config = replace(STILL, scenes=0.0, photos=0.0, anything=1.0, pictures=(str(tmp_path),))
    made = dataset(library, preset, replace(config, **change))
    pairs = [made[index] for index in range(10)]
    assert [bool(pair.marked) for pair in pairs] == [not pair.present for pair in pairs]
    assert not all(pair.present for pair in pairs)


# rivals


@pytest.fixture
def rivals(monkeypatch, undegraded):
    """A green target, and a place to look at instead, as far away as the test says."""

    def use(distance):
        image, box = painted(GREEN)
        rival = (box[0] - distance, *box[1:])
        frames = [(image, box), (image, box), (image, rival)]
        monkeypatch.setattr(PairDataset, "_source", lambda self, rng: lambda rng: frames)

    return use


def test_search_around_a_rival(library, preset, rivals):
    """It is in the middle of the crop; the target is where it stands, if it is in sight."""
    rivals(70)
    data = dataset(library, preset, replace(STILL, rivals=1.0, shift=0.0, scale=0.0))
    for index in range(4):
        pair = data[index]
        scale = (pair.box[2] - pair.box[0]) / BOX[2]
        assert (pair.box[0] + pair.box[2]) / 2 == pytest.approx(127.5 + 70 * scale, abs=2)
        np.testing.assert_allclose(found(pair.search, GREEN), pair.box, atol=1.5)
        assert pair.present == 1


def test_a_target_out_of_sight_is_not_there(library, preset, rivals):
    rivals(190)
    data = dataset(library, preset, replace(STILL, rivals=1.0, shift=0.0, scale=0.0))
    pair = data[0]
    assert pair.box[0] > 255
    assert pair.present == 0


def test_no_crop_cuts_the_target_in_two(library, preset, rivals):
    """There it is around the target, as ever."""
    for distance in (90, 100, 110, 120, 130):
        rivals(distance)
        data = dataset(library, preset, replace(STILL, rivals=1.0, shift=0.0, scale=0.0))
        box, present = data[0].box, data[0].present
        middle = (box[0] + box[2]) / 2
        assert (present == 1 and 0 < middle < 255) or (present == 0 and box[0] >= 255)


def test_share_of_rivals(library, preset, rivals):
    rivals(70)
    data = dataset(library, preset, replace(STILL, rivals=0.4, shift=0.0, scale=0.0))
    around = sum(float(data[index].box[[0, 2]].mean()) > 150 for index in range(100))
    assert around == pytest.approx(40, abs=15)
