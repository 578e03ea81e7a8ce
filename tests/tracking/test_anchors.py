"""Anchors: their sizes, the order of a head's channels, and extreme offsets."""

from dataclasses import replace

import numpy as np
import pytest

from siamcorr.models import load_preset
from siamcorr.models.recipe import AnchorConfig
from siamcorr.tracking.crops import Crop
from siamcorr.tracking.decoding import anchor_sizes, boxes_from_anchors, point_grid
from siamcorr.tracking.recipes import BoxRecipe
from siamcorr.tracking.target import Target

# Of 8 pixels and ratio r: w = int(sqrt(64 / r)), h = int(w * r); both times 8.
SIZES = [(104, 32), (88, 40), (64, 64), (40, 80), (32, 96)]
PRESET = load_preset("siamrpnpp-resnet50")
CROP = Crop(np.zeros((255, 255, 3), np.uint8), 100, 60, 510, 510)  # two frame pixels to one
TARGET = Target((355.0, 315.0), (90.0, 70.0), (90.0, 70.0), (600, 800))


def exact() -> BoxRecipe:
    """The recipe that takes the best box as it is."""
    numbers = replace(PRESET.recipe, penalty=0.0, window=0.0, learning_rate=1.0)
    return BoxRecipe(replace(PRESET, recipe=numbers))


def maps(cells: int = 25, background: float = 0.0, target: float = -10.0):
    """Logits (1, 10, S, S) of background, and zero offsets (1, 20, S, S)."""
    logits = np.zeros((1, 10, cells, cells), np.float32)
    logits[:, :5], logits[:, 5:] = background, target
    return logits, np.zeros((1, 20, cells, cells), np.float32)


def test_sizes():
    assert anchor_sizes(AnchorConfig()).T.tolist() == [[w, h] for w, h in SIZES]
    assert anchor_sizes(PRESET.recipe.anchors).T.tolist() == [[w, h] for w, h in SIZES]
    other = AnchorConfig(size=16, scale=2.5, ratios=(1.0, 0.7))
    assert anchor_sizes(other).T.tolist() == [[40, 40], [47.5, 32.5]]
    with pytest.raises(ValueError, match="read-only"):
        anchor_sizes(other)[0, 0] = 1


@pytest.mark.parametrize(("cells", "size"), [(25, 255), (21, 287), (97, 831)])
def test_points(cells, size):
    """Centred on the crop, eight pixels apart."""
    x, y = point_grid(cells, 8, size)
    line = [size / 2 + 8 * (i - (cells - 1) / 2) for i in range(cells)]
    assert x.tolist() == [line] * cells
    assert y.T.tolist() == [line] * cells


def test_boxes_from_offsets():
    """Channel coordinate * k + anchor; x and w are of the anchor's width, y and h of its height."""
    points = np.array([[[10.0, 18.0]], [[50.0, 50.0]]])
    anchors = np.array([[40.0, 8.0], [20.0, 16.0]])
    offsets = np.zeros((8, 1, 2))
    offsets[:, 0, 1] = (0.5, -1, 0.25, 2, np.log(2), np.log(0.5), 0, np.log(3))
    boxes = boxes_from_anchors(points, anchors, offsets)
    assert boxes.shape == (4, 2, 1, 2)
    assert boxes[:, 0, 0, 0].tolist() == [10, 50, 40, 20]
    assert boxes[:, 1, 0, 0].tolist() == [10, 50, 8, 16]
    assert boxes[:, 0, 0, 1] == pytest.approx([18 + 20, 50 + 5, 80, 20])
    assert boxes[:, 1, 0, 1] == pytest.approx([18 - 8, 50 + 32, 4, 48])


@pytest.mark.parametrize("anchor", range(5))
@pytest.mark.parametrize(("row", "column"), [(12, 12), (3, 20), (24, 0)])
def test_one_strong_logit_chooses_its_anchor_and_cell(anchor, row, column):
    """Channel class * k + anchor, the target's class last; twice as large in the frame."""
    logits, boxes = maps()
    logits[0, 5 + anchor, row, column] = 15
    logits[0, anchor, 5, 6] = 15  # background is none
    step = exact().follow(logits, boxes, [CROP], TARGET)
    expected = (100 + 2 * (127.5 + 8 * (column - 12)), 60 + 2 * (127.5 + 8 * (row - 12)))
    assert step.target.center == pytest.approx(expected)
    assert step.target.size == pytest.approx([2 * side for side in SIZES[anchor]], rel=1e-5)
    assert step.score == pytest.approx(1)
    assert step.response.shape == (25, 25)
    assert np.unravel_index(step.response.argmax(), (25, 25)) == (row, column)


@pytest.mark.parametrize("anchor", range(5))
def test_the_offsets_of_the_chosen_anchor_count(anchor):
    logits, boxes = maps()
    boxes[:] = np.random.default_rng(0).normal(0, 0.3, boxes.shape)
    logits[0, 5 + anchor, 10, 11] = 15
    dx, dy, dw, dh = (float(boxes[0, 5 * i + anchor, 10, 11]) for i in range(4))
    w, h = SIZES[anchor]
    step = exact().follow(logits, boxes, [CROP], TARGET)
    x, y = CROP.to_frame(127.5 - 8 + dx * w, 127.5 - 16 + dy * h)
    assert step.target.center == pytest.approx((x, y), rel=1e-4)
    assert step.target.size == pytest.approx((2 * w * np.exp(dw), 2 * h * np.exp(dh)), rel=1e-4)


def test_size_is_smoothed_by_score_and_penalty():
    """rate = penalty * score * 0.38, penalty = exp(-0.05 * (change - 1))."""
    recipe = BoxRecipe(PRESET)
    logits, boxes = maps()
    logits[0, 5 + 2, 12, 12] = np.log(4)  # a score of 0.8 for a box of 128 x 128
    target = replace(TARGET, size=(64.0, 64.0))
    step = recipe.follow(logits, boxes, [CROP], target)
    rate = np.exp(-0.05 * (2 - 1)) * 0.8 * 0.38
    assert step.score == pytest.approx(0.8)
    assert step.target.size == pytest.approx((64 * (1 - rate) + 128 * rate,) * 2)


@pytest.mark.parametrize("value", [80.0, 1e4, -1e4, np.float32(3e38)])
def test_extreme_offsets_are_harmless(value):
    """No overflow, no warning, and a box near the frame."""
    logits, boxes = maps(target=2.0)
    boxes[:, 10:] = value
    step = BoxRecipe(PRESET).follow(logits, boxes, [CROP], TARGET)
    assert np.isfinite([*step.target.center, *step.target.size]).all()
    assert 10 <= step.target.size[0] <= 800
    assert 10 <= step.target.size[1] <= 600
