"""The pyramids of SiamFC and DCFNet: crops, peaks and sizes."""

from dataclasses import replace

import numpy as np
import pytest

from siamcorr.models import load_preset
from siamcorr.tracking.crops import Crop
from siamcorr.tracking.recipes import FilterRecipe, ScaleRecipe
from siamcorr.tracking.target import Target

SIAMFC, DCFNET = load_preset("siamfc-alexnet"), load_preset("dcfnet")
STEP, RATE = 1.0375, 0.59
# Its context is a square of 127, so the middle crop is 255 pixels wide: neither is scaled.
TARGET = Target((700.5, 500.5), (63.5, 63.5), (63.5, 63.5), (1000, 1400))
FILTER_TARGET = Target((160.0, 120.0), (60.0, 40.0), (60.0, 40.0), (240, 320))
FILTER_CROPS = [
    Crop(np.zeros((125, 125, 3), np.uint8), 160 - w // 2, 120 - h // 2, w, h)
    for w, h in ((176, 116), (180, 120), (184, 124))
]


def scales(**changes) -> ScaleRecipe:
    """SiamFC's recipe with changed settings of its pyramid."""
    table = replace(SIAMFC.recipe.scales, **changes)
    return ScaleRecipe(replace(SIAMFC, recipe=replace(SIAMFC.recipe, scales=table)))


def crops_of(recipe: ScaleRecipe, target: Target) -> list[Crop]:
    return recipe.search_crops(np.zeros((1000, 1400, 3), np.uint8), target, (0, 0, 0))


def bump(row: int = 8, column: int = 8, heights=(0.9, 1.0, 0.9), level: float = 0.0) -> np.ndarray:
    """(3, 1, 17, 17): a response with one round peak per crop, five cells wide."""
    lines = [np.exp(-((np.arange(17) - place) ** 2) / 4) for place in (row, column)]
    return (np.stack([np.outer(*lines) * h for h in heights])[:, None] + level).astype(np.float32)


def follow(recipe: ScaleRecipe, logits: np.ndarray, target: Target = TARGET):
    return recipe.follow(logits, logits[:, :0], crops_of(recipe, target), target)


def test_crops():
    """One per scale, around the same place, resized to the same size."""
    crops = crops_of(scales(), TARGET)
    assert [crop.image.shape for crop in crops] == [(255, 255, 3)] * 3
    assert [crop.width for crop in crops] == [round(255 / STEP), 255, round(255 * STEP)]
    for crop in crops:
        assert crop.to_frame(127.5, 127.5) == pytest.approx(TARGET.center, abs=0.5)
        assert crop.width == crop.height
    steps = scales(count=5, step=1.1).scale_steps()
    assert steps == pytest.approx([1.1**-2, 1 / 1.1, 1, 1.1, 1.21])
    assert scales(count=1).scale_steps() == [1]


def test_crops_of_the_filter_keep_no_ratio():
    """Each side of the target three times, stretched to a square."""
    frame = np.zeros((240, 320, 3), np.uint8)
    crops = FilterRecipe(DCFNET).search_crops(frame, FILTER_TARGET, (0, 0, 0))
    assert [(crop.width, crop.height) for crop in crops] == [(175, 117), (180, 120), (185, 123)]
    assert {crop.image.shape for crop in crops} == {(125, 125, 3)}


def test_a_peak_in_the_middle_gives_back_the_same_box():
    """Exactly with a cell in the middle; otherwise up to half an upsampled cell."""
    target = TARGET
    for _ in range(5):
        target = follow(scales(upsample=1), bump(), target).target
        assert target.box_xywh == pytest.approx(TARGET.box_xywh, abs=1e-9)
    once = follow(scales(), bump()).target
    assert once.center == pytest.approx(TARGET.center, abs=0.25 + 1e-6)
    assert once.size == pytest.approx(TARGET.size)


@pytest.mark.parametrize(("down", "right"), [(0, 1), (-2, 0), (3, -4), (-6, 6)])
@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_a_peak_moved_by_cells_moves_the_box(down, right, factor):
    """By eight crop pixels per cell, which are fewer frame pixels if the crop is enlarged."""
    size = (63.5 * factor, 63.5 * factor)
    target = replace(TARGET, size=size, first_size=size)
    logits = bump(8 + down, 8 + right)
    for upsample, off in ((1, 1e-9), (16, 0.25)):
        recipe = scales(upsample=upsample)
        crop = crops_of(recipe, target)[1]
        assert crop.scale == pytest.approx(1 / factor, rel=0.01)
        x, y = crop.to_frame(127.5 + 8 * right, 127.5 + 8 * down)
        moved = follow(recipe, logits, target).target
        assert moved.center == pytest.approx((x, y), abs=(off + 1e-6) / crop.scale)
        assert moved.size == pytest.approx(size)


@pytest.mark.parametrize(
    ("heights", "best"),
    [
        ((1.0, 1.0, 1.0), 1),
        ((1.0, 1.0, 1.02), 1),  # all but the middle one count as 0.9745 of their peak
        ((1.0, 1.0, 1.03), 2),
        ((1.03, 1.0, 1.0), 0),
        ((1.2, 1.0, 1.1), 0),
    ],
)
@pytest.mark.parametrize("upsample", [1, 16])
def test_the_size_moves_a_share_towards_the_best_scale(heights, best, upsample):
    target = replace(TARGET, size=(80.0, 50.0), first_size=(80.0, 50.0))
    recipe = scales(upsample=upsample)
    moved = follow(recipe, bump(3, 12, heights), target).target
    factor = 1 - RATE + RATE * STEP ** (best - 1)
    assert moved.size == pytest.approx((80 * factor, 50 * factor))
    assert moved.first_size == (80, 50)
    place = crops_of(recipe, target)[best].to_frame(127.5 + 8 * 4, 127.5 - 8 * 5)
    assert moved.center == pytest.approx(place, abs=1e-9 if upsample == 1 else 0.3)


@pytest.mark.parametrize(("best", "bound"), [(0, 0.2), (2, 5.0)])
def test_size_keeps_its_ratio_and_its_bounds(best, bound):
    recipe, logits = scales(upsample=1), bump(heights=np.eye(3)[best])
    target = replace(TARGET, size=(120.0, 60.0), first_size=(120.0, 60.0))
    sizes = []
    for _ in range(90):
        target = follow(recipe, logits, target).target
        sizes.append(target.size)
    assert [w / h for w, h in sizes] == pytest.approx([2] * 90)
    assert sizes[-1] == pytest.approx((120 * bound, 60 * bound))
    assert sizes[0][0] == pytest.approx(120 * (1 - RATE + RATE * STEP ** (best - 1)))
    assert all(0.2 - 1e-9 <= w / 120 <= 5 + 1e-9 for w, _ in sizes)


def test_the_window_prefers_the_middle():
    """Of two peaks the nearer wins, unless the farther is clearly higher."""
    near, far = bump(8, 9), bump(2, 14)
    for weight, right in ((1.0, 1), (1.05, 1), (1.4, 6)):
        recipe = scales(upsample=1)
        moved = follow(recipe, np.maximum(near, far * weight)).target
        assert round((moved.center[0] - TARGET.center[0]) / 8) == right
    plain = ScaleRecipe(replace(SIAMFC, recipe=replace(recipe.config, window=0.0)))
    moved = follow(plain, np.maximum(near, far * 1.05)).target
    assert round((moved.center[0] - TARGET.center[0]) / 8) == 6


def test_score_is_the_sigmoid_of_the_best_map():
    _, score, response = follow(scales(), bump(4, 5, heights=(1, 2, 4), level=-1))
    assert score == pytest.approx(1 / (1 + np.exp(-3)))
    assert response.shape == (17, 17)
    assert np.unravel_index(response.argmax(), response.shape) == (4, 5)
    assert response.min() == pytest.approx(1 / (1 + np.exp(1)), abs=1e-3)


@pytest.mark.parametrize(
    ("place", "shift"),  # row, column -> cells down, cells right
    [((0, 0), (0, 0)), ((3, 5), (3, 5)), ((120, 1), (-5, 1)), ((62, 63), (62, -62))],
)
@pytest.mark.parametrize(("best", "step"), [(0, 1 / 1.0275), (1, 1.0), (2, 1.0275)])
def test_filter_moves_by_the_shift_of_its_peak(place, shift, best, step):
    """Circular around [0, 0]; the sides of a cell in the frame differ, and the size follows all."""
    logits = np.zeros((3, 1, 125, 125), np.float32)
    logits[best, 0, *place] = 0.8
    recipe, crop = FilterRecipe(DCFNET), FILTER_CROPS[best]
    moved, score, response = recipe.follow(logits, logits[:, :0], FILTER_CROPS, FILTER_TARGET)
    expected = 160 + shift[1] * crop.width / 125, 120 + shift[0] * crop.height / 125
    assert moved.center == pytest.approx(expected)
    assert moved.size == pytest.approx((60 * step, 40 * step))
    assert score == pytest.approx(0.8)
    row, column = np.unravel_index(response.argmax(), response.shape)
    assert (row - 62, column - 62) == shift  # as the crop shows it


@pytest.mark.parametrize(("excess", "best"), [(1.007, 1), (1.008, 2)])
def test_filter_prefers_the_same_scale(excess, best):
    """All but the middle one count as 0.9925 of their peak."""
    logits = np.zeros((3, 1, 125, 125), np.float32)
    logits[:, 0, 0, 0] = (0.9, 0.9, 0.9 * excess)
    recipe = FilterRecipe(DCFNET)
    moved = recipe.follow(logits, logits[:, :0], FILTER_CROPS, FILTER_TARGET).target
    assert moved.size[0] == pytest.approx(60 * 1.0275 ** (best - 1))


def test_filter_score_lies_in_0_to_1():
    logits = np.full((3, 1, 125, 125), -0.5, np.float32)
    logits[1, 0, 0, 0] = 1.5
    recipe = FilterRecipe(DCFNET)
    _, score, response = recipe.follow(logits, logits[:, :0], FILTER_CROPS, FILTER_TARGET)
    assert score == 1
    assert (response.min(), response.max()) == (0, 1)
