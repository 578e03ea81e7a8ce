"""Pairs: fixed by seed and number, and the box is where the target is."""

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from training.conftest import DATA, STILL, dataset
from training.drawn import GREEN, found, photograph, write_pictures

from siamcorr.data.synthetic.library import Library, one_thread
from siamcorr.data.synthetic.scene_config import SceneConfig
from siamcorr.models import load_preset
from siamcorr.training import pairs
from siamcorr.training.pairs import collate


@pytest.mark.parametrize("name", ["siamcorr-lite", "dcfnet"])
def test_shapes(library, name):
    preset = load_preset(name)
    pair = dataset(library, preset)[0]
    crop = preset.crop
    assert pair.template.shape == (3, crop.template_size, crop.template_size)
    assert pair.search.shape == (3, crop.search_size, crop.search_size)
    assert pair.template.dtype == pair.search.dtype == torch.uint8
    assert (pair.box.shape, pair.box.dtype) == ((4,), torch.float32)
    assert (pair.present.shape, pair.present.dtype) == ((), torch.float32)
    batch = collate([pair, pair, pair])
    assert [part.shape[0] for part in batch] == [3] * 5
    assert isinstance(batch, pairs.Pair)


def assert_same(one, other):
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_pair_is_fixed_by_seed_and_number(pictures, library, preset):
    one = dataset(library, preset)
    forwards = [one[index] for index in range(6)]
    other = dataset(Library([pictures]), preset, count=3)
    backwards = {index: other[index] for index in reversed(range(6))}
    for index, pair in enumerate(forwards):
        assert_same(pair, backwards[index])
    assert not torch.equal(forwards[0].search, forwards[1].search)
    assert not torch.equal(forwards[0].search, dataset(library, preset, seed=1)[0].search)
    assert len(one) == 10


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_pair_does_not_hang_on_who_makes_it(library, preset, workers):
    library.read_all()  # a process forked from one with OpenCV's threads might wait for ever
    order = [5, 0, 13, 2]
    made = dataset(library, preset)
    loader = DataLoader(
        made,
        batch_size=2,
        sampler=order,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=one_thread,
    )
    batches = list(loader)
    assert_same(batches[0], collate([made[5], made[0]]))
    assert_same(batches[1], collate([made[13], made[2]]))


@pytest.mark.parametrize("name", ["siamcorr-lite", "dcfnet"])
def test_box_is_where_the_target_is(library, frames, name):
    """To half a pixel of the frame; the template shows it in the middle."""
    made = dataset(library, load_preset(name), replace(STILL, shift=24.0))
    middle = made.preset.crop.template_size / 2
    for index in range(20):
        pair = made[index]
        assert found(pair.search, GREEN) == pytest.approx(pair.box.tolist(), abs=1.1)
        left, top, right, bottom = found(pair.template, GREEN)
        assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((middle,) * 2, abs=5.5)


def test_box_is_where_the_target_of_a_scene_is(tmp_path, preset, undegraded):
    """Cut-outs in one colour, and no other ones around; where a target is whole in the frame."""
    green = Library([write_pictures(tmp_path / "green", (0, 255, 0))])
    for path in green.photos:
        image = cv2.convertScaleAbs(photograph(1), alpha=0.4)
        cv2.imwrite(str(path), image)
    alone = SceneConfig(distractors=0, occlusion=0, photo_targets=0)
    made = dataset(green, preset, replace(STILL, scenes=1, photos=0, scene=alone))
    compared = 0
    for index in range(30):
        pair = made[index]
        rng = np.random.default_rng([0, index])
        views = made._source(rng)(rng)  # those that the pair is cut from
        for (_, (x, y, w, h)), image in zip(views, (pair.template, pair.search), strict=True):
            if not (x >= 0 and y >= 0 and x + w <= 480 and y + h <= 360):
                continue
            compared += 1
            place = found(image, GREEN)
            if image is pair.search:
                assert place == pytest.approx(pair.box.tolist(), abs=3)
            else:
                center = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
                assert center == pytest.approx((63.5, 63.5), abs=7)
    assert compared > 20


@pytest.mark.parametrize(("shift", "scale"), [(64.0, 0.2), (20.0, 0.0), (0.0, 0.5)])
def test_shift_and_scale_keep_to_their_limits_and_reach_them(library, preset, frames, shift, scale):
    made = dataset(library, preset, replace(STILL, shift=shift, scale=scale))
    box = torch.stack([made[index].box for index in range(150)])
    offsets = (box[:, :2] + box[:, 2:]) / 2 - 127.5
    assert shift * 0.9 - 1 < offsets.amax() < shift + 1.5
    assert -shift - 1.5 < offsets.amin() < 1 - shift * 0.9
    # The template's crop has 127 pixels, and the search crop as many to a side of the target.
    plain = 127 * 60 / math.sqrt((60 + 50) * (40 + 50))
    factors = (box[:, 2] - box[:, 0]) / plain
    low, high = 1 - scale, 1 / (1 - scale)
    assert low * 0.98 < factors.min() < 1 - scale * 0.8 + 0.01
    assert 1 + (high - 1) * 0.8 - 0.01 < factors.max() < high * 1.02


def test_template_has_hardly_any_jitter(library, preset, frames):
    made = dataset(library, preset, replace(STILL, shift=100.0, scale=0.5))
    plain = 127 * 60 / math.sqrt((60 + 50) * (40 + 50))
    for index in range(30):
        left, _, right, _ = found(made[index].template, GREEN)
        assert (left + right) / 2 == pytest.approx(63.5, abs=5.5)
        assert (right - left) / plain == pytest.approx(1, abs=0.09)


def test_colours_are_in_the_presets_order(library, preset):
    swapped = replace(preset, crop=replace(preset.crop, color="bgr"))
    for index in range(4):
        rgb, bgr = dataset(library, preset)[index], dataset(library, swapped)[index]
        assert torch.equal(rgb.template.flip(0), bgr.template)
        assert torch.equal(rgb.search.flip(0), bgr.search)
        assert torch.equal(rgb.box, bgr.box)


def test_red_comes_first(library, preset, frames):
    pair = dataset(library, preset, STILL)[0]
    assert pair.template[:, 63, 63].tolist() == [0, 255, 0]
    blue_first = replace(preset, crop=replace(preset.crop, color="bgr"))
    made = dataset(library, blue_first, replace(STILL, negative=0.99))
    assert made[0].template[:, 63, 63].tolist() == [0, 0, 255]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_pairs_without_colour(library, preset, frames, share):
    made = dataset(library, preset, replace(STILL, gray=share))
    gray = []
    for index in range(60):
        pair = made[index]
        without = [bool((image == image[:1]).all()) for image in (pair.template, pair.search)]
        assert without[0] == without[1]
        gray.append(without[0])
    assert np.mean(gray) == pytest.approx(share, abs=0.2 * (0 < share < 1))


SHARES = [(1, 0, 0, 0), (0, 2, 0, 0), (3, 1, 0, 0), (1, 1, 1, 1), (0, 0, 1, 0), (0, 0, 0, 0.5)]


@pytest.mark.parametrize("shares", SHARES)
def test_shares_of_each_kind(library, preset, monkeypatch, shares):
    class Fake:
        """A scene, footage, or labelled sequences: says what it is and what it was made of."""

        def __init__(self, source, *arguments):
            self.source = source

        def clean_frame(self, time):
            return "scene", time

        def pair(self, rng):
            return [self.source, self.source]

    monkeypatch.setattr(pairs, "Scene", Fake)
    monkeypatch.setattr(pairs, "photo_pair", lambda photo, rng: [("photo", 0)] * 2)
    monkeypatch.setattr(pairs, "Footage", lambda paths: Fake(("footage", paths)))
    monkeypatch.setattr(pairs, "Labelled", lambda found: Fake(("labelled", found)))
    monkeypatch.setattr(pairs, "find_sequences", lambda folder: [folder / "one", folder / "two"])
    kinds = ("scenes", "photos", "footage", "labelled")
    config = replace(
        DATA,
        **dict(zip(kinds, shares, strict=True)),
        unlabelled=("~/a.mp4", "b.mp4"),
        sequences=("c", "d"),
    )
    made = dataset(library, preset, config)
    found, known = [], {}
    for index in range(300):
        (kind, detail), (same, later) = made._source(rng := np.random.default_rng(index))(rng)
        assert kind == same
        found.append(kind)
        known.setdefault(kind, []).append((detail, later))
    for kind, share in zip(("scene", "photo", "footage", "labelled"), shares, strict=True):
        part = share / sum(shares)
        assert np.mean([one == kind for one in found]) == pytest.approx(
            part, abs=0.1 * (0 < part < 1)
        )
    assert all(0 <= later - start <= 3 for start, later in known.get("scene", []))
    if "footage" in known:
        assert known["footage"][0][0] == [Path.home() / "a.mp4", Path("b.mp4")]
    if "labelled" in known:
        names = ("c/one", "c/two", "d/one", "d/two")
        assert known["labelled"][0][0] == [Path(name) for name in names]


def test_pairs_of_anything_are_not_marked(library, preset, tmp_path):
    path = tmp_path / "pictures" / "one.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), photograph(0, 320, 240))
    config = replace(STILL, photos=1.0, scenes=0.0, anything=1.0, pictures=(str(path.parent),))
    made = dataset(library, preset, config, count=200)
    marked = [float(made[index].marked) for index in range(200)]
    assert {*marked} == {0.0, 1.0}
    assert np.mean(marked) == pytest.approx(0.5, abs=0.1)


def test_flipped_pairs_are_mirrored_with_their_box(library, preset, frames):
    """Half of the pairs; both crops of them."""
    flipped = dataset(library, preset, replace(STILL, flip=0.5))
    plain = dataset(library, preset, replace(STILL, flip=1e-9))
    mirrored = 0
    for index in range(8):
        pair, own = flipped[index], plain[index]
        np.testing.assert_allclose(found(pair.search, GREEN), pair.box, atol=1.5)
        if not torch.equal(pair.search, own.search):
            mirrored += 1
            assert torch.equal(pair.search, own.search.flip(2))
            assert torch.equal(pair.template, own.template.flip(2))
    assert 0 < mirrored < 8


@pytest.mark.parametrize("effect", ["deformed", "smeared"])
def test_effects_on_the_target_change_the_search_crop_alone(library, preset, frames, effect):
    made = dataset(library, preset, replace(STILL, **{effect: 1.0}))
    for index in range(6):
        pair, plain = made[index], dataset(library, preset, STILL)[index]
        assert torch.equal(pair.template, plain.template)
        assert not torch.equal(pair.search, plain.search)
        assert (pair.present, pair.marked) == (plain.present, plain.marked)
        assert torch.equal(pair.box, plain.box) == (effect == "smeared")
        own, last = (np.array(found(one.search, GREEN)) for one in (pair, plain))
        assert np.abs(own - last).max() < 0.5 * max(last[2:] - last[:2])  # still there
