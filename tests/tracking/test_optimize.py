"""Trackers optimise by default: a fused copy, the same boxes, and an unchanged network."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from siamcorr import MultiTracker, Tracker, build_model
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import fast_copy, for_inference, inference, preset_names

CLIP = [*render_clip(ClipConfig(frames=8, width=240, height=160, target=40))]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_model("siamcorr-lite", pretrained=True).train()


def follow(tracker):
    tracker.init(*CLIP[0])
    return np.array([tracker.update(frame).box_xywh for frame, _ in CLIP[1:]])


def follow_many(tracker):
    number = tracker.add(*CLIP[0])
    return np.array([tracker.update(frame)[number].box_xywh for frame, _ in CLIP[1:]])


def test_same_boxes(network):
    plain = follow(Tracker(network, optimize=False))
    assert plain.std(axis=0).max() > 1  # the target moves
    np.testing.assert_allclose(follow(Tracker(network)), plain, atol=0.1)
    np.testing.assert_allclose(follow_many(MultiTracker(network)), plain, atol=0.1)
    alone = follow_many(MultiTracker(network, optimize=False))
    np.testing.assert_allclose(alone, plain, atol=0.1)


@pytest.mark.parametrize("kind", [Tracker, MultiTracker])
def test_the_network_stays_as_it_was(network, kind):
    before = copy.deepcopy(network.state_dict())
    names = [(name, type(module)) for name, module in network.named_modules()]
    tracker = kind(network)
    (follow if kind is Tracker else follow_many)(tracker)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert [(name, type(module)) for name, module in network.named_modules()] == names
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    norms = [
        sum(isinstance(module, nn.BatchNorm2d) for module in one.modules())
        for one in (tracker.runner.model, network)
    ]
    assert norms[0] < norms[1] / 2


@pytest.mark.parametrize("kind", [Tracker, MultiTracker])
def test_without_it_the_network_itself_runs(network, kind):
    tracker = kind(network, optimize=False)
    assert tracker.runner.model is network
    assert not network.training


def test_later_weights_do_not_reach_the_copy(network):
    tracker, plain = Tracker(network), Tracker(network, optimize=False)
    before = follow(tracker)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.5)
    np.testing.assert_array_equal(follow(tracker), before)
    assert np.abs(follow(plain) - before).max() > 1


# A ResNet-50 takes long, and has no other layers than the rest.
@pytest.mark.parametrize("name", [name for name in preset_names() if "resnet50" not in name])
def test_never_twice(name):
    """Whatever the layers of a preset are."""
    network = build_model(name)
    fast = for_inference(network)
    assert fast_copy(network) is not network
    assert fast_copy(fast) is fast
    if name != "dcfnet":  # which has no norms, so that nothing tells frozen from optimized
        assert fast_copy(network.requires_grad_(False)) is not network


def test_other_networks_are_not_changed(network):
    class Other:
        preset, device = network.preset, torch.device("cpu")

    other = Other()
    assert Tracker(other).runner.model is other


def test_freed_memory_is_kept_from_the_first_tracker_on(network, monkeypatch):
    calls = []
    monkeypatch.setattr(inference, "keep_freed_memory", lambda: calls.append(1) or True)
    inference._keep_freed_memory_once.cache_clear()
    Tracker(network, optimize=False)
    assert calls == []
    Tracker(network)
    MultiTracker(network)
    assert calls == [1]
