"""NanoTrack v2: key for key, stateless, and equal to the published ONNX networks."""

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from siamcorr.data import render_clip
from siamcorr.models import build_model


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_model("nanotrack-v2")


def published_keys(path: Path, sections: set[str]) -> dict[str, list[int]]:
    """Keys and shapes from the reference listing."""
    keys, section = {}, ""
    for line in path.read_text().splitlines():
        if line.startswith("##"):
            section = line.split()[1]
        elif section in sections:
            key, shape = line.strip().split(" ", 1)
            keys[key] = [int(size) for size in shape.strip("[]").split(",") if size.strip()]
    return keys


@pytest.mark.video
def test_keys(network, shared):
    expected = published_keys(shared / "reference/state_dict_nanotrack.txt", {"mbv3small", "v2"})
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == expected


def test_parameter_count(network):
    assert sum(p.numel() for p in network.backbone.parameters()) == 190_520
    assert sum(p.numel() for p in network.head.parameters()) == 143_558


@pytest.mark.parametrize(("size", "cells"), [(127, 8), (255, 16)])
def test_backbone_shapes(network, size, cells):
    assert network.backbone(torch.rand(2, 3, size, size)).shape == (2, 48, cells, cells)


@torch.no_grad()
def test_stateless(network):
    """A search leaves no state that another search could read."""
    one, other = (torch.rand(1, 3, 127, 127) * 255 for _ in range(2))
    search = torch.rand(1, 3, 255, 255) * 255
    template = network.template(one)
    before = network.search(search, template)
    network.search(search, network.template(other))
    for a, b in zip(before, network.search(search, template), strict=True):
        assert torch.equal(a, b)


@torch.no_grad()
def test_many_targets_in_one_forward(network):
    templates = [network.template(torch.rand(1, 3, 127, 127) * 255) for _ in range(3)]
    searches = torch.rand(3, 3, 255, 255) * 255
    stacked = tuple(torch.cat(parts) for parts in zip(*templates, strict=True))
    together = network.search(searches, stacked)
    for b in range(3):
        alone = network.search(searches[b : b + 1], templates[b])
        torch.testing.assert_close(together.logits[b], alone.logits[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.boxes[b], alone.boxes[0], rtol=1e-4, atol=1e-5)
    shared = network.search(searches, templates[0])
    torch.testing.assert_close(shared.logits[0], together.logits[0], rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter(network):
    trained = copy.deepcopy(network).train()
    prediction = trained(torch.rand(2, 3, 255, 255), torch.rand(2, 3, 127, 127))
    assert (prediction.boxes > 0).all()
    (prediction.logits.sum() + prediction.boxes.sum()).backward()
    assert [name for name, p in trained.named_parameters() if p.grad is None] == []


@pytest.mark.video
@torch.no_grad()
def test_equal_to_the_published_onnx(nanotrack, shared):
    """The same BGR crop through our network and through OpenCV with the ONNX files."""
    folder = shared / "weights" / "nanotrackv2_onnx"
    backbone = cv2.dnn.readNetFromONNX(str(folder / "nanotrack_backbone_sim.onnx"))
    head = cv2.dnn.readNetFromONNX(str(folder / "nanotrack_head_sim.onnx"))
    frames = [image for image, _ in render_clip()][:2]
    z = cv2.resize(frames[0], (127, 127)).transpose(2, 0, 1)[None].astype(np.float32)
    x = cv2.resize(frames[1], (255, 255)).transpose(2, 0, 1)[None].astype(np.float32)

    features = []
    for image in (z, x):
        backbone.setInput(image)
        features.append(backbone.forward().copy())
    head.setInput(features[0], "input1")
    head.setInput(features[1], "input2")
    expected = head.forward(["output1", "output2"])

    template = nanotrack.template(torch.from_numpy(z))
    prediction = nanotrack.search(torch.from_numpy(x), template)
    for ours, theirs in zip(prediction, expected, strict=True):
        difference = np.linalg.norm(ours.numpy() - theirs) / np.linalg.norm(theirs)
        assert difference < 1e-3


def test_a_new_head_takes_the_key_of_the_old_one():
    network = build_model("nanotrack-v2")
    keys, head = [*network.state_dict()], copy.deepcopy(network.head)
    network.head = head
    assert network.head is network.ban_head is head
    assert [*network.state_dict()] == keys
    with pytest.raises(TypeError, match="cannot assign 'str' as child module 'ban_head'"):
        network.head = "none"
