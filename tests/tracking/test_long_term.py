"""A lost target: the box stays, the crop grows, the window is off, until it is found again.

First by the recipe of a preset for long videos, then with `recover` by our own weights.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamcorr import MultiTracker, Tracker, build_model
from siamcorr.data.synthetic.clips import texture
from siamcorr.layers import Prediction
from siamcorr.models import SiameseNetwork, for_inference, load_preset
from siamcorr.tracking import box_iou
from siamcorr.tracking.recipes import BoxRecipe
from siamcorr.tracking.target import Target

PRESET = load_preset("siamrpnpp-resnet50-lt")
FRAME = np.zeros((480, 640, 3), np.uint8)
BOX = (299.75, 199.75, 63.5, 63.5)  # with its context 127 pixels, so that crops are not scaled
SEEN = Target.from_box(BOX, (480, 640))
LOST = replace(SEEN, lost=True)


def look(target: Target, score: float, down: int = 2, right: int = 3):
    """A step of the recipe in which only one square anchor has a score."""
    recipe = BoxRecipe(PRESET)
    crops = recipe.search_crops(FRAME, target, (0, 0, 0))
    logits, boxes = maps(len(crops[0].image), {(down, right): score})
    return recipe.follow(logits.numpy(), boxes.numpy(), crops, target)


def maps(size: int, scores: dict[tuple[int, int], float]) -> tuple[Tensor, Tensor]:
    """Maps of a crop: scores of the square anchor at cells relative to the middle."""
    cells = (size - 127) // 8 + 9
    logits = torch.zeros(1, 10, cells, cells)
    logits[:, 5:] = -20
    for (down, right), score in scores.items():
        place = 7, cells // 2 + down, cells // 2 + right
        logits[0][place] = np.log(score / (1 - score))
    return logits, torch.zeros(1, 20, cells, cells)


@pytest.mark.parametrize(
    ("target", "size", "side"), [(SEEN, 255, 255), (LOST, 831, 831)], ids=["seen", "lost"]
)
def test_crops(target, size, side):
    crops = BoxRecipe(PRESET).search_crops(FRAME, target, (0, 0, 0))
    assert [crop.image.shape for crop in crops] == [(size, size, 3)]
    assert (crops[0].width, crops[0].height) == (side, side)
    assert crops[0].to_frame(size / 2, size / 2) == pytest.approx(SEEN.center)


@pytest.mark.parametrize(
    ("before", "score", "after", "moves"),
    [
        (SEEN, 0.79, True, False),
        (SEEN, 0.81, False, True),
        (SEEN, 0.999, False, True),
        (LOST, 0.79, True, False),
        (LOST, 0.81, True, True),
        (LOST, 0.997, True, True),
        (LOST, 0.9985, False, True),
    ],
)
def test_states(before, score, after, moves):
    step = look(before, score)
    assert step.score == pytest.approx(score)
    assert step.target.lost is after
    x, y = before.center
    assert step.target.center == pytest.approx((x + 24, y + 16) if moves else (x, y))
    rate = step.score * 0.22 * np.exp(-0.05 * (64 / 63.5 - 1)) if moves else 0
    assert step.target.size[0] == pytest.approx(63.5 + rate * 0.5)
    assert step.target.first_size == before.first_size


def choice(target: Target) -> tuple[int, int]:
    """The winner of a high score in the middle and a slightly higher one far away, in cells."""
    recipe = BoxRecipe(PRESET)
    crops = recipe.search_crops(FRAME, target, (0, 0, 0))
    logits, boxes = maps(len(crops[0].image), {(0, 0): 0.99, (-9, 10): 0.9995})
    moved = recipe.follow(logits.numpy(), boxes.numpy(), crops, target).target
    x, y = (round((b - a) / 8) for a, b in zip(target.center, moved.center, strict=True))
    return y, x


def test_window_only_while_not_lost():
    assert choice(SEEN) == (0, 0)
    assert choice(LOST) == (-9, 10)


def test_without_long_term_nothing_is_lost():
    """A low score moves the box as any other."""
    preset = load_preset("siamrpnpp-resnet50")
    recipe = BoxRecipe(replace(preset, recipe=replace(preset.recipe, window=0.0)))
    crops = recipe.search_crops(FRAME, SEEN, (0, 0, 0))
    logits, boxes = maps(255, {(2, 3): 0.01})
    step = recipe.follow(logits.numpy(), boxes.numpy(), crops, SEEN)
    assert step.target.lost is False
    assert step.target.center == pytest.approx((SEEN.center[0] + 24, SEEN.center[1] + 16))


class Script(nn.Module):
    """A head that scores the middle with the next score of a list, in crops of any size."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores, self.sizes = iter(scores), []

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        return (features,)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        self.sizes.append(features.shape[-1])
        return Prediction(*maps(features.shape[-1], {(0, 0): next(self.scores)}))


def test_a_tracker_loses_and_finds():
    """`lost` follows lost_below frame by frame; the size of the crop follows the target."""
    scores = [0.95, 0.4, 0.6, 0.9, 0.9985, 0.9]
    head = Script(scores)
    tracker = Tracker(SiameseNetwork(PRESET, nn.Identity(), head))
    tracker.init(FRAME, BOX)
    results = [tracker.update(FRAME) for _ in scores]
    assert [result.score for result in results] == pytest.approx(scores)
    assert [result.lost for result in results] == [False, True, True, False, False, False]
    assert head.sizes == [255, 255, 831, 831, 831, 255]
    assert results[2].box_xywh == results[0].box_xywh  # it stayed


@pytest.mark.parametrize(("lost_below", "lost"), [(0.0, False), (0.59, False), (0.61, True)])
def test_lost_follows_lost_below(lost_below, lost):
    """Without the long-term table, `lost` is only reported."""
    preset = load_preset("siamrpnpp-resnet50")
    preset = replace(preset, recipe=replace(preset.recipe, lost_below=lost_below))
    tracker = Tracker(SiameseNetwork(preset, nn.Identity(), Script([0.6, 0.6])))
    tracker.init(FRAME, BOX)
    result = tracker.update(FRAME)
    assert result.score == pytest.approx(0.6)
    assert result.lost is lost
    tracker.update(FRAME)
    assert tracker.model.head.sizes == [255, 255]


@pytest.fixture(scope="module")
def lite():
    """Our own weights, and scores that tell a thing from its ground in a world of textures."""
    network = for_inference(build_model("siamcorr-lite", pretrained=True))
    recipe = replace(network.preset.recipe, lost_below=0.75, found_above=0.78)
    network.preset = replace(network.preset, recipe=recipe)
    return network


def picture(seed, side):
    return texture(np.random.default_rng(seed), side, side, 3)


THING = picture(101, 48)
STAYING = picture(8, 44)
GONE, BACK, FRAMES = 4, 11, 18


def clip(later):
    """An object that leaves, one that stays, and one that appears later far away."""
    rng = np.random.default_rng(1)
    ground = texture(rng, 256, 192, 5)
    for index in range(FRAMES):
        image = ground.copy()
        image[136:180, 10 + index : 54 + index] = STAYING
        if index < GONE:
            image[20:68, 20 + 2 * index : 68 + 2 * index] = THING
        elif index >= BACK and later is not None:
            image[120:168, 200 - index : 248 - index] = later
        noise = rng.normal(0, 2, image.shape)
        yield np.clip(image + noise, 0, 255).astype(np.uint8)


STARTS = [(20, 20, 48, 48), (10, 136, 44, 44)]


def tracked(network, later, box):
    frames = clip(later)
    tracker = Tracker(network, recover=True)
    tracker.init(next(frames), box)
    return [tracker.update(frame) for frame in frames]


@pytest.fixture(scope="module")
def alone(lite):
    """Each target by a tracker of its own."""
    return [tracked(lite, THING, box) for box in STARTS]


def test_a_target_that_comes_back_far_away_is_found(alone):
    results = alone[0]
    lost = [result.lost for result in results]
    assert not any(lost[-2:])
    assert not any(lost[: GONE - 1])
    assert all(lost[GONE - 1 : BACK])
    assert box_iou(results[-1].box_xywh, (201 - FRAMES, 120, 48, 48)) > 0.5


@pytest.mark.parametrize("like", [picture(201, 48), np.rot90(THING)], ids=["texture", "colours"])
def test_a_look_alike_is_not_taken(lite, like):
    """Though what is in sight scores more than enough, and for long enough."""
    results = tracked(lite, like, STARTS[0])
    assert all(result.lost for result in results[GONE - 1 :])
    assert box_iou(results[-1].box_xywh, (201 - FRAMES, 120, 48, 48)) == 0


def test_many_targets_of_which_one_is_lost_are_as_many_single_trackers(lite, alone):
    frames = clip(THING)
    tracker = MultiTracker(lite, recover=True)
    first = next(frames)
    numbers = [tracker.add(first, box) for box in STARTS]
    results = [tracker.update(frame) for frame in frames]
    for number, expected in zip(numbers, alone, strict=True):
        mine = [result[number] for result in results]
        assert [result.lost for result in mine] == [result.lost for result in expected]
        boxes = ([result.box_xywh for result in part] for part in (mine, expected))
        np.testing.assert_allclose(*boxes, atol=0.1)
    assert not any(result.lost for result in alone[1])
    assert any(result.lost for result in alone[0])


def test_a_target_in_sight_is_followed_as_without_recover(lite, alone):
    frames = clip(THING)
    tracker = Tracker(lite)
    tracker.init(next(frames), STARTS[1])
    plain = [tracker.update(frame) for frame in frames]
    assert [result.box_xywh for result in plain] == [result.box_xywh for result in alone[1]]
