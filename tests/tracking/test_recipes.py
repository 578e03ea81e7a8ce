"""Recipes with a network that knows the ground truth: the box stays, for every kind of map."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamcorr import Tracker
from siamcorr.layers import Prediction
from siamcorr.models import SiameseNetwork, load_preset, preset_names
from siamcorr.models.recipe import KINDS
from siamcorr.tracking.crops import Crop
from siamcorr.tracking.recipes import RECIPES, recipe_of

FRAME = np.random.default_rng(0).integers(0, 256, size=(240, 320, 3), dtype=np.uint8)
BOXES = [(100, 80, 60, 40), (100.3, 80.6, 61.2, 40.7), (5, 150, 33, 70)]


class Oracle(nn.Module):
    """A head that returns given maps; its template is the mean colour."""

    maps: Prediction

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        return (features.mean((2, 3)),)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        return self.maps


class PerfectTracker(Tracker):
    """A tracker whose network returns the ground truth: the box `truth`."""

    truth: tuple[float, float, float, float]

    def __init__(self, name: str, cells: int) -> None:
        super().__init__(SiameseNetwork(load_preset(name), nn.Identity(), Oracle()))
        self.cells = cells
        self.runner.tensor = partial(self.seen, self.runner.tensor)

    def seen(self, tensor, crops):
        self.crops = crops
        if hasattr(self, "truth"):
            answer = {"points": distances, "anchors": offsets, "scales": peaks, "filter": peaks}
            maps = answer[self.recipe.config.kind](self, crops)
            self.model.head.maps = Prediction(*(torch.tensor(m, dtype=torch.float32) for m in maps))
        return tensor(crops)


def grid(tracker: PerfectTracker, crop: Crop) -> np.ndarray:
    """The points of the cells in one row."""
    stride = tracker.recipe.config.stride
    return len(crop.image) / 2 + stride * (np.arange(tracker.cells) - tracker.cells // 2)


def in_crop(crop: Crop, box) -> tuple[float, float, float, float]:
    """The box as centre and size in crop pixels."""
    kx, ky = len(crop.image) / crop.width, len(crop.image) / crop.height
    x, y, w, h = box
    return (x + w / 2 - crop.left) * kx, (y + h / 2 - crop.top) * ky, w * kx, h * ky


def distances(tracker: PerfectTracker, crops: list[Crop]) -> tuple[np.ndarray, np.ndarray]:
    """Left, top, right, bottom; only the cell next to the target's centre has a high score."""
    line, (x, y, w, h) = grid(tracker, crops[0]), in_crop(crops[0], tracker.truth)
    px, py = np.meshgrid(line, line)
    sides = np.stack([px - (x - w / 2), py - (y - h / 2), x + w / 2 - px, y + h / 2 - py])
    logits = np.full((2, *px.shape), 0.0)
    logits[1] = -20
    logits[1, len(line) // 2 + 1, len(line) // 2 - 1] = 20
    return logits[None], sides[None]


def offsets(tracker: PerfectTracker, crops: list[Crop]) -> tuple[np.ndarray, np.ndarray]:
    """One anchor of one cell is the target, and its offsets alone are exact."""
    line, (x, y, w, h) = grid(tracker, crops[0]), in_crop(crops[0], tracker.truth)
    row, column, anchor = len(line) // 2 - 1, len(line) // 2 + 2, 3
    boxes = np.zeros((20, len(line), len(line)))
    wide, high = 40, 80  # the fourth anchor, of ratio 2
    shift = (x - line[column]) / wide, (y - line[row]) / high
    boxes[anchor::5, row, column] = (*shift, math.log(w / wide), math.log(h / high))
    logits = np.zeros((10, len(line), len(line)))
    logits[5:] = -20
    logits[5 + anchor, row, column] = 20
    return logits[None], boxes[None]


def peaks(tracker: PerfectTracker, crops: list[Crop]) -> tuple[np.ndarray, np.ndarray]:
    """A response per crop, highest at the target, and highest of all in the middle crop."""
    maps = []
    for index, crop in enumerate(crops):
        x, y, _, _ = in_crop(crop, tracker.truth)
        line = grid(tracker, crop)
        if tracker.recipe.config.kind == "filter":  # circular around [0, 0]
            line = (np.fft.fftfreq(tracker.cells) * tracker.cells) + len(crop.image) / 2
        width = 1.5 * tracker.recipe.config.stride
        shape = [np.exp(-(((line - place) / width) ** 2) / 2) for place in (y, x)]
        maps.append(np.outer(*shape) * (1.0 if index == 1 else 0.9))
    logits = np.stack(maps)[:, None]
    return logits, logits[:, :0]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(
    ("name", "cells"),
    [("siamban-resnet50", 25), ("siamrpnpp-resnet50", 25), ("siamrpnpp-alexnet", 21)],
)
def test_a_perfect_box_gives_back_the_same_box(name, cells, box):
    tracker = PerfectTracker(name, cells)
    tracker.init(FRAME, box)
    tracker.truth = box
    for _ in range(5):
        result = tracker.update(FRAME)
        assert result.box_xywh == pytest.approx(box, abs=1e-3)
        assert result.score == pytest.approx(1)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(("name", "cells"), [("siamfc-alexnet", 17), ("dcfnet", 125)])
def test_a_perfect_peak_gives_back_the_same_box(name, cells, box):
    """To half of what the map resolves, and no farther off after ten frames; the size exactly."""
    tracker = PerfectTracker(name, cells)
    tracker.init(FRAME, box)
    tracker.truth = box
    config = tracker.recipe.config
    for _ in range(10):
        x, y, w, h = tracker.update(FRAME).box_xywh
        half = config.stride / config.scales.upsample / 2 * 1.02
        crop = tracker.recipe.search_crops(FRAME, tracker._state.target, (0, 0, 0))[1]
        assert x == pytest.approx(box[0], abs=half * crop.width / len(crop.image))
        assert y == pytest.approx(box[1], abs=half * crop.height / len(crop.image))
        assert (w, h) == pytest.approx(box[2:], abs=1e-9)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("siamban-resnet50", 25),
        ("siamrpnpp-alexnet", 21),
        ("siamfc-alexnet", 17),
        ("dcfnet", 125),
    ],
)
def test_a_moving_target_is_tracked(name, cells):
    tracker = PerfectTracker(name, cells)
    tracker.init(FRAME, (100, 80, 60, 40))
    for step in range(1, 6):
        tracker.truth = (100 + 7 * step, 80 - 5 * step, 60, 40)
        assert tracker.update(FRAME).box_xywh == pytest.approx(tracker.truth, abs=0.75)


def test_every_kind_has_a_recipe():
    assert set(RECIPES) == set(KINDS)
    for name in preset_names():
        preset = load_preset(name)
        recipe = recipe_of(preset)
        assert type(recipe) is RECIPES[preset.recipe.kind]
        assert (recipe.crop, recipe.config) == (preset.crop, preset.recipe)


def flat(color) -> np.ndarray:
    return np.full((240, 320, 3), color, np.uint8)


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("siamfc-alexnet", (200, 100, 50)),
        ("siamrpnpp-alexnet", (50, 100, 200)),
        ("dcfnet", (200 - 123, 100 - 117, 50 - 104)),
    ],
)
def test_colour_as_the_network_knows_it(name, color):
    tracker = PerfectTracker(name, 17)
    tracker.init(flat((200, 100, 50)), BOXES[0])
    assert tracker._state.template[0][0].tolist() == pytest.approx(color, abs=1e-3)


def test_filter_updates_its_template():
    """By a hundredth of the new template per frame; other recipes keep the first."""
    tracker, fixed = PerfectTracker("dcfnet", 125), PerfectTracker("siamfc-alexnet", 17)
    for each in (tracker, fixed):
        each.init(flat(150), BOXES[0])
        each.truth = BOXES[0]
    first = tracker._state.template[0][0]
    for expected in (1, 1.99, 2.9701):
        tracker.update(flat(250))
        fixed.update(flat(250))
        update_template = tracker._state.template[0][0] - first
        assert update_template.tolist() == pytest.approx([expected] * 3, abs=1e-3)
    assert fixed._state.template[0][0].tolist() == [150] * 3


def test_filter_updates_its_template_at_the_new_place():
    """The frame brightens by one from column to column, and the target moves by 20."""
    ramp = np.tile(np.arange(240, dtype=np.uint8)[None, :, None], (240, 1, 3))
    tracker = PerfectTracker("dcfnet", 125)
    tracker.init(ramp, (90, 90, 30, 30))
    first = tracker._state.template[0][0]
    tracker.truth = (110, 90, 30, 30)
    tracker.update(ramp)
    update_template = 100 * (tracker._state.template[0][0] - first)
    assert update_template.tolist() == pytest.approx([20] * 3, abs=0.6)
