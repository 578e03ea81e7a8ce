"""Lost and found: when the search begins, where it looks, and what it takes for the target."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from siamcorr import MultiTracker, Tracker, build_model
from siamcorr.data.synthetic import texture
from siamcorr.layers import Prediction
from siamcorr.models import load_preset
from siamcorr.tracking.likeness import appearance_of, likeness
from siamcorr.tracking.recipes import Step, recipe_of
from siamcorr.tracking.recovery import (
    AGREEING,
    PATIENCE,
    TILES,
    check_recoverable,
    followed,
    found_above,
    judged,
    remembered,
    search,
)
from siamcorr.tracking.sweep import SCALES, STRIDE, sweep
from siamcorr.tracking.target import Target

SIZE = (360, 640)
FILL = (0.0, 0.0, 0.0)
SIDE = 40
PRESET = load_preset("nanotrack-v2")  # lost below 0.85, found above 0.925
CONFIG = PRESET.recipe
FULL = np.zeros((1, 1))
SURE, UNSURE = 0.95, 0.3


def at(x, y, side=SIDE):
    """A target by its corner."""
    return Target.from_box((x, y, side, side), SIZE)


def picture(seed, side=SIDE):
    return texture(np.random.default_rng(seed), side, side, 3)


def frame_with(*things):
    """A frame (360, 640) with pictures at corners (x, y) before a ground."""
    image = texture(np.random.default_rng(99), 640, 360, 5)
    for patch, (x, y) in things:
        image[y : y + len(patch), x : x + len(patch)] = patch
    return image.astype(np.uint8)


HERE = at(20, 30)
MINE = frame_with((picture(1), (20, 30)))


def lost_memory(**changes):
    memory = remembered(MINE, HERE, FILL)
    return replace(memory, doubts=PATIENCE, **changes)


def step(target, score=SURE):
    return Step(target, score, FULL)


@pytest.mark.parametrize(
    ("score", "image", "doubts"),
    [
        (0.86, MINE, 0),
        (0.84, MINE, 1),
        (SURE, frame_with((picture(2), (20, 30))), 1),  # high, but what is there looks different
    ],
)
def test_what_puts_a_target_in_doubt(score, image, doubts):
    memory = replace(remembered(MINE, HERE, FILL), target=at(16, 30))
    after = followed(memory, step(HERE, score), image, FILL, CONFIG)
    assert after.doubts == doubts
    assert after.lost is bool(doubts)
    assert after.spots == (HERE,)
    assert after.target == (at(16, 30) if doubts else HERE)


def test_doubts_in_a_row_begin_the_search_where_it_was_last_seen():
    memory = remembered(MINE, HERE, FILL)
    for count in range(1, PATIENCE + 1):
        assert not memory.searching
        memory = followed(memory, step(at(20 + 9 * count, 30), UNSURE), MINE, FILL, CONFIG)
        assert memory.target == HERE
        assert memory.spots == ((at(20 + 9 * count, 30) if count < PATIENCE else HERE),)
    assert memory.searching


def test_one_sure_frame_ends_the_doubts():
    memory = remembered(MINE, HERE, FILL)
    for score in (UNSURE, UNSURE, 0.9):
        memory = followed(memory, step(HERE, score), MINE, FILL, CONFIG)
    assert not memory.lost
    memory = followed(memory, step(HERE, UNSURE), MINE, FILL, CONFIG)
    assert memory.doubts == 1


@pytest.mark.parametrize(("score", "taken"), [(0.92, False), (0.93, True)])
def test_the_view_of_a_clear_sight_is_kept_beside_the_first(score, taken):
    """Half of the target turned into another picture: still alike, not the same."""
    changed = picture(1)
    changed[: SIDE // 4] = picture(2)[: SIDE // 4]
    image = frame_with((changed, (20, 30)))
    before = remembered(MINE, HERE, FILL)
    after = followed(before, step(HERE, score), image, FILL, CONFIG)
    assert not after.lost
    assert after.views[0] is before.views[0]
    same = likeness(after.views[1], (appearance_of(image, HERE, FILL),))
    assert (same == pytest.approx(1)) is taken


@pytest.mark.parametrize("keep_ratio", [True, False])
def test_the_sweep_covers_the_frame_at_every_scale(keep_ratio):
    crop = replace(PRESET.crop, keep_ratio=keep_ratio)
    places = sweep(replace(HERE, size=(40.0, 20.0), lost=True), crop)
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


def looked_at(memory, frames, score=0.1, name="nanotrack-v2", image=MINE):
    """Search some frames with maps of one score: places, crops a forward, and the memory."""
    preset = load_preset(name)
    recipe, seen, batches = recipe_of(preset), [], []
    cells = 16

    def predict(crops):
        batches.append(len(crops))
        seen[-1].extend(crops)
        logits = np.full((len(crops), 1, cells, cells), math.log(score / (1 - score)))
        return logits, np.full((len(crops), 4, cells, cells), 32.0)

    for _ in range(frames):
        seen.append([])
        memory, _ = search(memory, recipe, image, FILL, predict)
    return seen, batches, memory


def farthest(crops):
    """Distance from the lost target to the farthest point of some crops, in pixels."""
    x, y = HERE.center
    return max(
        math.hypot(
            max(abs(crop.left - x), abs(crop.left + crop.width - x)),
            max(abs(crop.top - y), abs(crop.top + crop.height - y)),
        )
        for crop in crops
    )


def test_the_region_grows_and_the_last_place_stays_in_it():
    tiles = sweep(HERE, PRESET.crop)
    first = sum(place.size == HERE.size for place in tiles)
    assert first >= 2 * TILES  # of the first scale, so that two frames are not enough for all
    seen, _, _ = looked_at(lost_memory(), 2)
    assert farthest(seen[0]) < farthest(seen[1])
    for crops in seen:
        center = crops[0].to_frame(127.5, 127.5)
        assert center == pytest.approx(HERE.center, abs=1)


def test_a_sweep_looks_at_every_tile_once_and_begins_again():
    tiles = sweep(HERE, PRESET.crop)
    count = math.ceil(len(tiles) / TILES)
    seen, _, memory = looked_at(lost_memory(), count)
    places = [(crop.left, crop.top, crop.width) for crops in seen for crop in crops[1:]]
    assert len(places) == len(set(places)) == len(tiles)
    assert memory.tile == 0
    assert memory.doubts == PATIENCE + count
    again, _, _ = looked_at(memory, 1)
    assert [crop.left for crop in again[0]] == [crop.left for crop in seen[0]]


@pytest.mark.parametrize(("name", "each"), [("nanotrack-v2", 1), ("siamfc-alexnet", 3)])
def test_a_frame_is_bounded(name, each):
    """One place and the next tiles, each with all crops of its pyramid."""
    preset = load_preset(name)
    assert len(sweep(HERE, preset.crop)) > TILES
    seen, sizes, _ = looked_at(lost_memory(), 1, name=name)
    assert len(seen[0]) == each * (TILES + 1)
    assert sizes == [each * (TILES + 1)]


def test_no_place_of_a_tile_is_preferred():
    """The cosine window would choose the middle."""

    def predict(crops):
        logits = np.full((len(crops), 1, 16, 16), -9.0)
        logits[0, 0, 8, 8], logits[0, 0, 3, 13] = 3.0, 3.1
        return logits, np.full((len(crops), 4, 16, 16), 63.5 / 2)

    _, sight = search(lost_memory(), recipe_of(PRESET), MINE, FILL, predict)
    right, down = (b - a for a, b in zip(HERE.center, sight.step.target.center, strict=True))
    cell = 16 * sight.crops[0].width / 255
    assert (right / cell, down / cell) == pytest.approx((5, -5), abs=0.1)


THERE, FAR = at(200, 100), at(100, 20)


@pytest.mark.parametrize(
    ("steps", "alike", "best", "spots", "agreed"),
    [
        ([step(HERE, 0.3), step(THERE, 0.91)], [1, 1], 1, (HERE,), 0),
        ([step(HERE, 0.3), step(THERE, 0.93)], [1, 0.49], 1, (HERE,), 0),
        ([step(HERE, 0.3), step(THERE, 0.93)], [1, 0.51], 1, (THERE,), 1),
        # The more alike of two, and a second that comes close or does not.
        ([step(FAR, 0.99), step(THERE, 0.93)], [0.6, 0.9], 1, (THERE,), 1),
        ([step(FAR, 0.99), step(THERE, 0.93)], [0.8, 0.9], 1, (THERE, FAR), 0),
        ([step(FAR, 0.91), step(THERE, 0.93)], [0.9, 0.9], 1, (THERE,), 1),
        # The same thing in two tiles is no rival of itself.
        ([step(at(205, 95), 0.94), step(THERE, 0.93)], [0.9, 0.9], 0, (at(205, 95),), 1),
    ],
)
def test_what_a_frame_of_the_search_says(steps, alike, best, spots, agreed):
    above = found_above(CONFIG)
    after, index = judged(lost_memory(agreed=2), steps, alike, above)
    assert (index, after.spots, after.agreed) == (best, spots, agreed)
    assert after.target == HERE
    assert after.lost


def test_found_after_frames_that_agree():
    memory = lost_memory(tile=TILES)
    for count in range(1, AGREEING + 1):
        assert memory.lost
        moved = replace(at(200 + 10 * count, 100), lost=True)
        memory, _ = judged(memory, [step(moved)], [0.9], 0.9)
        assert memory.agreed == count % AGREEING
    assert not memory.lost
    assert memory.target == replace(moved, lost=False)
    assert (memory.spots, memory.tile) == ((memory.target,), 0)


@pytest.mark.parametrize(
    "between",
    [[step(HERE, UNSURE)], [step(FAR)], [step(THERE), step(FAR)]],
    ids=["gone", "elsewhere", "rival"],
)
def test_frames_that_disagree_begin_anew(between):
    memory = lost_memory()
    for steps in [[step(THERE)], [step(THERE)], between, [step(THERE)], [step(THERE)]]:
        memory, _ = judged(memory, steps, [0.9] * len(steps), 0.9)
        assert memory.lost


def test_likeness():
    mine = appearance_of(MINE, HERE, FILL)
    turned = frame_with((np.rot90(picture(1)), (20, 30)))
    other = frame_with((picture(2), (20, 30)))
    darker = (MINE * 0.8).astype(np.uint8)
    assert likeness(mine, (mine,)) == pytest.approx(1)
    assert likeness(appearance_of(turned, HERE, FILL), (mine,)) < 0.4
    assert likeness(appearance_of(other, HERE, FILL), (mine,)) < 0.4
    assert likeness(appearance_of(darker, HERE, FILL), (mine,)) > 0.6
    assert likeness(mine, (appearance_of(other, HERE, FILL), mine)) == pytest.approx(1)


def test_likeness_of_plain_targets_is_that_of_their_colours():
    red, green = (np.full((360, 640, 3), color, np.uint8) for color in ((200, 0, 0), (0, 200, 0)))
    plain = appearance_of(red, HERE, FILL)
    assert likeness(plain, (plain,)) == pytest.approx(1)
    assert likeness(plain, (appearance_of(green, HERE, FILL),)) == 0
    assert likeness(plain, (appearance_of(MINE, HERE, FILL),)) == 0


@pytest.mark.parametrize(("below", "above", "found"), [(0.8, 0.0, 0.9), (0.5, 0.6, 0.6)])
def test_found_above(below, above, found):
    config = replace(CONFIG, lost_below=below, found_above=above)
    assert found_above(config) == pytest.approx(found)


def test_found_above_is_at_least_lost_below():
    with pytest.raises(ValueError, match=r"at least lost_below, got 0\.5 and 0\.6"):
        replace(CONFIG, lost_below=0.6, found_above=0.5)


@pytest.mark.parametrize("kind", [Tracker, MultiTracker])
def test_a_preset_must_say_what_a_loss_is(kind):
    with pytest.raises(ValueError, match=r"lost_below > 0, siamfc-alexnet has none"):
        kind(build_model("siamfc-alexnet"), recover=True)
    assert check_recoverable(recipe_of(PRESET), "nanotrack-v2") is None


class Scripted:
    """A network that sees the middle of a frame's first crop with the next score of a list."""

    device = torch.device("cpu")

    def __init__(self, scores, **recipe):
        config = replace(CONFIG, window=0.0, penalty=0.0, **recipe)
        self.preset = replace(PRESET, recipe=config)
        self.scores, self.batches, self.templates = iter(scores), [], 0

    def template(self, image):
        self.templates += 1
        return (torch.zeros(1),)

    def search(self, image, template):
        self.batches.append(tuple(image.shape[::3]))
        logits = torch.full((len(image), 1, 16, 16), -9.0)
        score = next(self.scores)
        logits[0, 0, 8, 8] = math.log(score / (1 - score))
        return Prediction(logits, torch.full((len(image), 4, 16, 16), 32.0))


SCRIPT = [SURE, *[UNSURE] * PATIENCE, 0.9, UNSURE, SURE, SURE, SURE, 0.9]


def start(network, **options):
    tracker = Tracker(network, **options)
    tracker.init(MINE, HERE.box_xywh)
    return tracker


def test_a_tracker_loses_searches_and_finds():
    """0.9 would do for a target in sight, but not for one that was lost."""
    network = Scripted(SCRIPT)
    tracker = start(network, recover=True)
    results = [tracker.update(MINE) for _ in SCRIPT]
    assert [result.lost for result in results] == [False] + [True] * 9 + [False] * 2
    assert [result.score for result in results] == pytest.approx(SCRIPT)
    wide = [(TILES + 1, 255)] * 5
    assert network.batches == [*[(1, 255)] * 6, *wide, (1, 255)]
    assert len({result.box_xywh for result in results[:10]}) == 1
    assert results[10].box_xywh == pytest.approx(HERE.box_xywh, abs=1)
    for result in results:
        x, y, w, h = result.region
        assert x <= tracker.box_xywh[0] <= x + w
        assert y <= tracker.box_xywh[1] <= y + h


def test_init_forgets_the_loss():
    tracker = start(Scripted([UNSURE] * 9), recover=True)
    for _ in range(7):
        assert tracker.update(MINE).lost
    tracker.init(MINE, HERE.box_xywh)
    tracker.update(MINE)
    assert tracker.model.batches[-1] == (1, 255)


def test_without_recover_a_loss_is_a_word_and_nothing_else():
    network = Scripted(SCRIPT)
    tracker = start(network)
    lost = [tracker.update(MINE).lost for _ in SCRIPT]
    assert lost == [score < 0.85 for score in SCRIPT]
    assert network.batches == [(1, 255)] * len(SCRIPT)


@pytest.mark.parametrize(("recover", "templates"), [(False, 12), (True, 3)])
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_no_template_is_renewed_while_lost(recover, templates, many):
    network = Scripted(SCRIPT, update_rate=0.1)
    if many:
        tracker = MultiTracker(network, recover=recover)
        tracker.add(MINE, HERE.box_xywh)
    else:
        tracker = start(network, recover=recover)
    for _ in SCRIPT:
        tracker.update(MINE)
    assert network.templates == 1 + templates
