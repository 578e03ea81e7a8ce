"""Many targets at once: equal to single trackers, also when targets are added and removed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from siamcorr import MultiTracker, Tracker, build_model
from siamcorr.data import ClipConfig, render_clip
from siamcorr.tracking.batching import MAX_BATCH

FRAMES = [image for image, _ in render_clip(ClipConfig(frames=6, width=320, height=240, target=60))]
BOXES = [(100.0, 80.0, 60.0, 40.0), (20.5, 150.0, 33.0, 70.0), (200.0, 30.0, 90.0, 50.0)]


def network(name):
    torch.manual_seed(0)
    return build_model(name)


@pytest.fixture(scope="module")
def model():
    return network("nanotrack-v2")


def alone(model, boxes, frames):
    """Every target by a tracker of its own: boxes (frames, targets, 4)."""
    trackers = [Tracker(model) for _ in boxes]
    for tracker, box in zip(trackers, boxes, strict=True):
        tracker.init(frames[0], box)
    return np.array([[t.update(frame).box_xywh for t in trackers] for frame in frames[1:]])


@pytest.mark.parametrize("name", ["nanotrack-v2", "siamfc-alexnet", "dcfnet"])
def test_equal_to_single_trackers(name):
    """One crop per target, a pyramid of three, and a template that is updated."""
    model = network(name)
    tracker = MultiTracker(model)
    numbers = [tracker.add(FRAMES[0], box) for box in BOXES]
    found = []
    for frame in FRAMES[1:4]:
        results = tracker.update(frame)
        found.append([results[number].box_xywh for number in numbers])
    np.testing.assert_allclose(found, alone(model, BOXES, FRAMES[:4]), atol=0.1)


def test_targets_come_and_go(model):
    tracker = MultiTracker(model)
    first = tracker.add(FRAMES[0], BOXES[0])
    tracker.update(FRAMES[1])
    second = tracker.add(FRAMES[1], BOXES[1])
    assert list(tracker.update(FRAMES[2])) == [first, second]
    tracker.remove(first)
    assert len(tracker) == 1
    third = tracker.add(FRAMES[2], BOXES[2])
    results = tracker.update(FRAMES[3])
    assert list(results) == [second, third]
    assert third not in (first, second)
    expected = alone(model, [BOXES[1]], FRAMES[1:4])[-1, 0]
    np.testing.assert_allclose(results[second].box_xywh, expected, atol=0.1)


def test_one_forward_per_frame(model, monkeypatch):
    calls = []
    search = model.search
    monkeypatch.setattr(model, "search", lambda x, z: calls.append(len(x)) or search(x, z))
    tracker = MultiTracker(model)
    for box in BOXES:
        tracker.add(FRAMES[0], box)
    tracker.update(FRAMES[1])
    assert calls == [3]


@pytest.mark.parametrize(
    ("name", "count", "batches"),
    [
        ("siamcorr-lite", MAX_BATCH, [33]),
        ("siamcorr-lite", 35, [33, 2]),
        ("dcfnet", 12, [33, 3]),
    ],
)
def test_many_go_in_parts(name, count, batches, monkeypatch):
    """On the CPU; each crop keeps its own template, also in a pyramid that is split."""
    model, boxes = build_model(name, pretrained=name == "siamcorr-lite"), (BOXES * 12)[:count]
    tracker, calls = MultiTracker(model, optimize=False), []
    numbers = [tracker.add(FRAMES[0], box) for box in boxes]
    expected = alone(model, BOXES, FRAMES[:2])[0]
    search = model.search
    monkeypatch.setattr(model, "search", lambda x, z: calls.append(len(x)) or search(x, z))
    results = tracker.update(FRAMES[1])
    assert calls == batches
    for index, number in enumerate(numbers):
        np.testing.assert_allclose(results[number].box_xywh, expected[index % 3], atol=0.1)


def test_lost_targets_search_wider(model, monkeypatch):
    """Targets with crops of two sizes go through the network in two batches."""
    long_term = replace(model.preset.recipe.long_term, search_size=383, below=0.5)
    recipe = replace(model.preset.recipe, long_term=long_term)
    monkeypatch.setattr(model, "preset", replace(model.preset, recipe=recipe))
    tracker = MultiTracker(model, optimize=False)
    numbers = [tracker.add(FRAMES[0], box) for box in BOXES]
    one = tracker._followed[numbers[1]]
    tracker._followed[numbers[1]] = replace(one, target=replace(one.target, lost=True))
    sizes = []
    search = model.search
    monkeypatch.setattr(model, "search", lambda x, z: sizes.append(x.shape) or search(x, z))
    results = tracker.update(FRAMES[1], response=True)
    assert sorted(shape[::3] for shape in sizes) == [(1, 383), (2, 255)]
    assert results[numbers[1]].response.shape[0] > results[numbers[0]].response.shape[0]


def test_no_targets(model):
    tracker = MultiTracker(model)
    assert tracker.update(FRAMES[0]) == {}


def test_errors(model):
    tracker = MultiTracker(model)
    number = tracker.add(FRAMES[0], BOXES[0])
    with pytest.raises(ValueError, match="but the first one was"):
        tracker.update(FRAMES[0][:100])
    with pytest.raises(ValueError, match="outside the 320x240 frame"):
        tracker.add(FRAMES[0], (900, 0, 10, 10))
    tracker.remove(number)
    with pytest.raises(KeyError):
        tracker.remove(number)
    tracker.add(FRAMES[0][:100], (10, 10, 30, 30))  # another source, once nothing is followed


def test_frames_of_any_size_pass_without_targets(model):
    tracker = MultiTracker(model)
    large, small = (np.zeros((side, side, 3), np.uint8) for side in (200, 120))
    assert tracker.update(large) == {}
    with pytest.raises(ValueError, match="size"):
        tracker.add(large, (10, 10, 0, 40))
    assert tracker.update(small) == {}
    tracker.add(small, (10, 10, 40, 40))
    with pytest.raises(ValueError, match="but the first one was"):
        tracker.update(large)
