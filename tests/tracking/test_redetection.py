"""Re-detection: when the search starts, and which candidate it accepts."""

from dataclasses import replace

import numpy as np
import pytest

from siamcorr import MultiTracker, Tracker, build_model
from siamcorr.data.synthetic.clips import texture
from siamcorr.models import load_preset
from siamcorr.tracking.appearance import appearance_of, similarity
from siamcorr.tracking.recipes import Step, recipe_of
from siamcorr.tracking.redetection import (
    CONFIRMATIONS_NEEDED,
    PATIENCE,
    check_recoverable,
    decide,
    found_above,
    observe,
    start_redetection,
)
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
    """A frame (360, 640) with pictures at corners (x, y) on a background."""
    image = texture(np.random.default_rng(99), 640, 360, 5)
    for patch, (x, y) in things:
        image[y : y + len(patch), x : x + len(patch)] = patch
    return image.astype(np.uint8)


HERE, THERE, FAR = at(20, 30), at(200, 100), at(100, 20)
MINE = frame_with((picture(1), (20, 30)))


def lost_memory(**changes):
    memory = start_redetection(MINE, HERE, FILL)
    return replace(memory, uncertain_frames=PATIENCE, **changes)


def step(target, score=SURE):
    return Step(target, score, FULL)


@pytest.mark.parametrize(
    ("score", "image", "uncertain_frames"),
    [
        (0.86, MINE, 0),
        (0.84, MINE, 1),
        (SURE, frame_with((picture(2), (20, 30))), 1),  # high, but what is there looks different
    ],
)
def test_uncertain_frames(score, image, uncertain_frames):
    memory = replace(start_redetection(MINE, HERE, FILL), last_confirmed=at(16, 30))
    after = observe(memory, step(HERE, score), image, FILL, CONFIG)
    assert after.uncertain_frames == uncertain_frames
    assert after.lost is bool(uncertain_frames)
    assert after.last_confirmed == (at(16, 30) if uncertain_frames else HERE)
    share = similarity(appearance_of(image, HERE, FILL), memory.views)
    assert after.followed_rank == pytest.approx(score * share)


def test_uncertain_frames_in_a_row_start_the_search_at_the_last_confirmed_place():
    memory = start_redetection(MINE, HERE, FILL)
    for count in range(1, PATIENCE + 1):
        assert not memory.searching
        memory = observe(memory, step(at(20 + 9 * count, 30), UNSURE), MINE, FILL, CONFIG)
        assert memory.last_confirmed == HERE
    assert memory.searching


def test_one_certain_frame_ends_the_search():
    memory = start_redetection(MINE, HERE, FILL)
    for score in (*[UNSURE] * PATIENCE, 0.9):
        memory = replace(memory, tile=7, candidates=(THERE,), confirmations=2)
        memory = observe(memory, step(HERE, score), MINE, FILL, CONFIG)
    assert not memory.lost
    assert (memory.tile, memory.candidates, memory.confirmations) == (0, (), 0)
    memory = observe(memory, step(HERE, UNSURE), MINE, FILL, CONFIG)
    assert memory.uncertain_frames == 1


@pytest.mark.parametrize(("score", "taken"), [(0.92, False), (0.93, True)])
def test_the_last_clear_view_is_kept_with_the_first(score, taken):
    """Half of the target replaced by another picture: still similar, not equal."""
    changed = picture(1)
    changed[: SIDE // 4] = picture(2)[: SIDE // 4]
    image = frame_with((changed, (20, 30)))
    before = start_redetection(MINE, HERE, FILL)
    after = observe(before, step(HERE, score), image, FILL, CONFIG)
    assert not after.lost
    assert after.views[0] is before.views[0]
    same = similarity(after.views[1], (appearance_of(image, HERE, FILL),))
    assert (same == pytest.approx(1)) is taken


@pytest.mark.parametrize(
    ("steps", "alike", "candidates", "confirmations"),
    [
        ([step(THERE, 0.91)], [1], (), 0),
        ([step(THERE, 0.93)], [0.49], (), 0),
        ([step(THERE, 0.93)], [0.51], (THERE,), 1),
        # The more alike of two, and a second that comes close or does not.
        ([step(FAR, 0.99), step(THERE, 0.93)], [0.6, 0.9], (THERE,), 1),
        ([step(FAR, 0.99), step(THERE, 0.93)], [0.8, 0.9], (THERE, FAR), 0),
        ([step(FAR, 0.91), step(THERE, 0.93)], [0.9, 0.9], (THERE,), 1),
        # The same thing in two tiles is no rival of itself.
        ([step(at(205, 95), 0.94), step(THERE, 0.93)], [0.9, 0.9], (at(205, 95),), 1),
        # What is followed anyway is no find.
        ([step(at(25, 30), 0.99)], [1], (), 0),
    ],
)
def test_one_frame_of_the_search(steps, alike, candidates, confirmations):
    memory = lost_memory(confirmations=2, followed_rank=0.2)
    after, index = decide(memory, HERE, steps, alike, found_above(CONFIG))
    assert (index, after.candidates, after.confirmations) == (None, candidates, confirmations)
    assert after.last_confirmed == HERE
    assert after.lost


def test_found_after_enough_confirmations():
    memory = lost_memory(tile=8, followed_rank=0.2)
    for count in range(1, CONFIRMATIONS_NEEDED + 1):
        assert memory.lost
        moved = replace(at(200 + 10 * count, 100), lost=True)
        memory, index = decide(memory, HERE, [step(FAR, 0.5), step(moved)], [0.9] * 2, 0.9)
        assert index == (1 if count == CONFIRMATIONS_NEEDED else None)
    assert not memory.lost
    assert memory.last_confirmed == replace(moved, lost=False)
    assert (memory.candidates, memory.tile) == ((), 0)


@pytest.mark.parametrize(("followed_rank", "taken"), [(0.84, True), (0.86, False)])
def test_a_candidate_must_outrank_the_tracked_target(followed_rank, taken):
    """The tracked target has rank 0.95 x 0.9 here."""
    memory = lost_memory(followed_rank=followed_rank)
    for _ in range(CONFIRMATIONS_NEEDED):
        memory, index = decide(memory, HERE, [step(THERE)], [0.9], 0.9)
    assert (index == 0) is taken
    assert memory.lost is not taken


@pytest.mark.parametrize(
    "between",
    [[step(HERE, UNSURE)], [step(FAR)], [step(THERE), step(FAR)]],
    ids=["gone", "elsewhere", "rival"],
)
def test_frames_that_disagree_reset_the_confirmations(between):
    memory = lost_memory(followed_rank=0.2)
    for steps in [[step(THERE)], [step(THERE)], between, [step(THERE)], [step(THERE)]]:
        memory, index = decide(memory, HERE, steps, [0.9] * len(steps), 0.9)
        assert index is None
        assert memory.lost


def test_similarity():
    mine = appearance_of(MINE, HERE, FILL)
    turned = frame_with((np.rot90(picture(1)), (20, 30)))
    other = frame_with((picture(2), (20, 30)))
    darker = (MINE * 0.8).astype(np.uint8)
    assert similarity(mine, (mine,)) == pytest.approx(1)
    assert similarity(appearance_of(turned, HERE, FILL), (mine,)) < 0.4
    assert similarity(appearance_of(other, HERE, FILL), (mine,)) < 0.4
    assert similarity(appearance_of(darker, HERE, FILL), (mine,)) > 0.6
    assert similarity(mine, (appearance_of(other, HERE, FILL), mine)) == pytest.approx(1)


def test_similarity_of_plain_targets_compares_only_colours():
    red, green = (np.full((360, 640, 3), color, np.uint8) for color in ((200, 0, 0), (0, 200, 0)))
    plain = appearance_of(red, HERE, FILL)
    assert similarity(plain, (plain,)) == pytest.approx(1)
    assert similarity(plain, (appearance_of(green, HERE, FILL),)) == 0
    assert similarity(plain, (appearance_of(MINE, HERE, FILL),)) == 0


@pytest.mark.parametrize(("below", "above", "found"), [(0.8, 0.0, 0.9), (0.5, 0.6, 0.6)])
def test_found_above(below, above, found):
    config = replace(CONFIG, lost_below=below, found_above=above)
    assert found_above(config) == pytest.approx(found)


def test_found_above_is_at_least_lost_below():
    with pytest.raises(ValueError, match=r"at least lost_below, got 0\.5 and 0\.6"):
        replace(CONFIG, lost_below=0.6, found_above=0.5)


@pytest.mark.parametrize("kind", [Tracker, MultiTracker])
def test_a_preset_needs_lost_below(kind):
    with pytest.raises(ValueError, match=r"lost_below > 0, siamfc-alexnet has none"):
        kind(build_model("siamfc-alexnet"), recover=True)
    assert check_recoverable(recipe_of(PRESET), "nanotrack-v2") is None
