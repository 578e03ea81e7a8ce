"""The search over the frame: its places, how targets share them, and how trackers use it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from siamcorr import MultiTracker, Tracker
from siamcorr.data.synthetic.clips import texture
from siamcorr.layers import Prediction
from siamcorr.models import load_preset
from siamcorr.tracking.redetection import CONFIRMATIONS_NEEDED, PATIENCE, start_redetection
from siamcorr.tracking.redetection_search import (
    MIN_PLACES,
    SCALES,
    STRIDE,
    advance_tiles,
    place_budget,
    search_grid,
    share_places,
)
from siamcorr.tracking.target import Target

SIZE, SIDE = (360, 640), 40
FILL = (0.0, 0.0, 0.0)
PRESET = load_preset("nanotrack-v2")  # lost below 0.85, found above 0.925
CONFIG = PRESET.recipe
SURE, UNSURE = 0.95, 0.3
HERE = Target.from_box((20, 30, SIDE, SIDE), SIZE)
MINE = texture(np.random.default_rng(99), 640, 360, 5).astype(np.uint8)
TILES = search_grid(HERE, PRESET.crop)


@pytest.mark.parametrize("keep_ratio", [True, False])
def test_the_sweep_covers_the_frame_at_every_scale(keep_ratio):
    crop = replace(PRESET.crop, keep_ratio=keep_ratio)
    places = search_grid(replace(HERE, size=(40.0, 20.0), lost=True), crop)
    assert not any(place.lost for place in places)
    for scale in SCALES:
        tiles = [place for place in places if place.size == (40 * scale, 20 * scale)]
        step = 255 / 127 * STRIDE * scale
        sides = (80 * step, 60 * step) if not keep_ratio else (math.sqrt(70 * 50) * step,) * 2
        for x, y in [(0, 0), (640, 360), (0, 360), (131, 77), (633, 5)]:
            gaps = [
                max(abs(place.center[0] - x) / sides[0], abs(place.center[1] - y) / sides[1])
                for place in tiles
            ]
            assert min(gaps) <= 0.5
        far = [math.dist(place.center, HERE.center) for place in tiles]
        assert far == sorted(far)
    assert {place.size[0] for place in places} == {40 * scale for scale in SCALES}


def lost_memory(**changes):
    return replace(start_redetection(MINE, HERE, FILL), uncertain_frames=PATIENCE, **changes)


@pytest.mark.parametrize(("followed", "places"), [(1, MIN_PLACES), (8, MIN_PLACES), (32, 16)])
def test_place_budget(followed, places):
    assert place_budget(followed) == places


def test_a_sweep_searches_every_tile_once_and_restarts():
    assert len(TILES) > 3 * MIN_PLACES
    memory, seen = lost_memory(), []
    while len(seen) < len(TILES):
        places = share_places({0: memory}, MIN_PLACES, PRESET.crop)[0]
        assert len(places) == MIN_PLACES
        seen += places
        memory = advance_tiles(memory, places, PRESET.crop)
    assert seen[: len(TILES)] == list(TILES)
    assert seen[len(TILES) :] == list(TILES[: len(seen) - len(TILES)])


def test_candidates_are_searched_again_and_do_not_advance_the_sweep():
    spot = replace(HERE, center=(500.0, 90.0))
    memory = lost_memory(candidates=(spot,), tile=4)
    places = share_places({3: memory}, MIN_PLACES, PRESET.crop)[3]
    assert places == [spot, *TILES[4 : 4 + MIN_PLACES - 1]]
    assert advance_tiles(memory, places, PRESET.crop).tile == 4 + MIN_PLACES - 1


def test_lost_targets_share_a_frame():
    """After five frames every target has had equally many places."""
    memories = {number: lost_memory() for number in range(5)}
    for _ in range(5):
        shares = share_places(memories, 3, PRESET.crop)
        assert sum(map(len, shares.values())) == 3
        for number, places in shares.items():
            memories[number] = advance_tiles(memories[number], places, PRESET.crop)
    assert [memory.tile for memory in memories.values()] == [3] * 5


def test_candidates_do_not_exceed_the_budget():
    candidates = HERE, replace(HERE, center=(500.0, 90.0))
    memories = {number: lost_memory(candidates=candidates) for number in range(4)}
    shares = share_places(memories, 5, PRESET.crop)
    assert sum(map(len, shares.values())) == 5


class Scripted:
    """Scores the middle of a frame's first crop with the next score of a list.

    In the search, whose forward has more crops, with one more list's.
    """

    device = torch.device("cpu")

    def __init__(self, scores, found=(), **recipe):
        config = replace(CONFIG, window=0.0, penalty=0.0, **recipe)
        self.preset = replace(PRESET, recipe=config)
        self.scores, self.found, self.batches, self.templates = iter(scores), iter(found), [], 0

    def template(self, image):
        self.templates += 1
        return (torch.zeros(1, 1),)

    def search(self, image, template):
        assert len(template[0]) in (1, len(image))
        self.batches.append(len(image))
        logits = torch.full((len(image), 1, 16, 16), -9.0)
        score = next(self.found, 1e-4) if len(image) == MIN_PLACES else next(self.scores)
        logits[-1, 0, 8, 8] = math.log(score / (1 - score))
        return Prediction(logits, torch.full((len(image), 4, 16, 16), 32.0))


SCRIPT = [SURE, *[UNSURE] * (PATIENCE + 3), 0.9, SURE]
SEARCHED = [1] * (PATIENCE + 1) + [MIN_PLACES, *([1, MIN_PLACES] * 3), 1, 1]


def start(kind, network, **options):
    tracker = kind(network, **options)
    if kind is MultiTracker:
        number = tracker.add(MINE, HERE.box_xywh)
        return tracker, lambda: tracker.update(MINE)[number]
    tracker.init(MINE, HERE.box_xywh)
    return tracker, lambda: tracker.update(MINE)


@pytest.mark.parametrize("kind", [Tracker, MultiTracker])
def test_tracking_continues_during_the_search(kind):
    """Boxes and scores equal those without the search, because nothing was found."""
    results = []
    for recover in (True, False):
        network = Scripted(SCRIPT)
        _, update = start(kind, network, recover=recover)
        results.append([update() for _ in SCRIPT])
        assert network.batches == (SEARCHED if recover else [1] * len(SCRIPT))
    for mine, plain in zip(*results, strict=True):
        assert (mine.box_xywh, mine.score, mine.lost) == (plain.box_xywh, plain.score, plain.lost)


@pytest.mark.parametrize("kind", [Tracker, MultiTracker])
def test_a_found_target_replaces_the_tracked_one(kind, monkeypatch):
    """Its place is the last of the frame, later the candidate that is searched again."""
    monkeypatch.setattr("siamcorr.tracking.redetection_search.similarity", lambda view, known: 0.9)
    monkeypatch.setattr("siamcorr.tracking.redetection.similarity", lambda view, known: 0.9)
    monkeypatch.setattr("siamcorr.tracking.redetection_search.share_places", always_there)
    network = Scripted([SURE, *[UNSURE] * 30], found=[UNSURE, *[SURE] * CONFIRMATIONS_NEEDED])
    _, update = start(kind, network, recover=True)
    results = [update() for _ in range(PATIENCE + CONFIRMATIONS_NEEDED + 2)]
    found = results[PATIENCE + CONFIRMATIONS_NEEDED]
    assert [result.lost for result in results] == [False, *[True] * (len(results) - 3), False, True]
    assert found.score == pytest.approx(SURE, abs=1e-3)
    x, y, w, h = found.box_xywh
    assert (x + w / 2, y + h / 2) == pytest.approx((500, 90), abs=10)
    left, top, wide, high = found.region
    assert left < x < left + wide
    assert top < y < top + high


def always_there(memories, places, crop):
    spot = replace(HERE, center=(500.0, 90.0))
    return {number: [HERE] * (places - 1) + [spot] for number in memories}


def test_init_forgets_the_loss():
    tracker, update = start(Tracker, Scripted([UNSURE] * 9), recover=True)
    for _ in range(7):
        assert update().lost
    tracker.init(MINE, HERE.box_xywh)
    update()
    assert tracker.model.batches[-2:] == [MIN_PLACES, 1]


@pytest.mark.parametrize(("recover", "templates"), [(False, 11), (True, 3)])
@pytest.mark.parametrize("kind", [Tracker, MultiTracker])
def test_no_template_update_while_lost(recover, templates, kind):
    network = Scripted(SCRIPT, update_rate=0.1)
    _, update = start(kind, network, recover=recover)
    for _ in SCRIPT:
        update()
    assert network.templates == 1 + templates
