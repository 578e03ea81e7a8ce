"""Teachers: output for a pair, in the student's colours and at its cells."""

from dataclasses import replace

import pytest
import torch

from siamcorr.models import assemble, load_preset
from siamcorr.training.config import TeacherConfig
from siamcorr.training.imitation import FeatureImitation
from siamcorr.training.teacher import Teacher, load_teacher

STUDENT = load_preset("siamcorr-lite")


def untrained(name):
    torch.manual_seed(0)
    return assemble(load_preset(name)).eval()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return [255 * torch.rand(2, 3, size, size, generator=generator) for size in (255, 127)]


@pytest.mark.parametrize("name", ["nanotrack-v1", "nanotrack-v2", "siamrpnpp-mobilenetv2"])
def test_output_equals_the_networks(name, images):
    """At the 15, or 25, cells of its own map, laid on the student's; nothing outside of them."""
    network = untrained(name)
    teacher = Teacher(network, STUDENT)
    assert teacher.swap_colors == (network.preset.crop.color != STUDENT.crop.color)
    search, template = images
    taught = teacher.pair(search, template, 17)
    assert taught.score.shape == (2, 17, 17)
    assert taught.boxes.shape == (2, 4, 17, 17)
    order = [2, 1, 0] if teacher.swap_colors else [0, 1, 2]
    with torch.no_grad():
        own = network(search[:, order], template[:, order])
    cells = own.logits.shape[-1]
    kinds = own.logits.reshape(2, 2, -1, cells, cells).softmax(dim=1)[:, 1]
    middle = kinds.amax(dim=1)[:, cells // 2, cells // 2]
    torch.testing.assert_close(taught.score[:, 8, 8], middle)
    assert (taught.score >= 0).all()
    assert (taught.score <= 1).all()


@pytest.mark.parametrize(("name", "cells"), [("nanotrack-v2", 16), ("nanotrack-v3", 15)])
def test_points_outside_of_its_map_are_background(name, cells, images):
    taught = Teacher(untrained(name), STUDENT).pair(*images, 17)
    first = 8 - cells // 2
    known = torch.zeros(17, 17, dtype=torch.bool)
    known[first : first + cells, first : first + cells] = True
    assert (taught.score[:, ~known] == 0).all()
    assert (taught.score[:, known] > 0).all()


def test_boxes_of_points(images):
    """A cell's box is where its network's distances end."""
    network = untrained("nanotrack-v2")
    taught = Teacher(network, STUDENT).pair(*images, 17)
    with torch.no_grad():
        left, top, right, bottom = network(*(image.flip(1) for image in images)).boxes[0, :, 8, 8]
    middle = 127.5
    wanted = [middle - left, middle - top, middle + right, middle + bottom]
    torch.testing.assert_close(taught.boxes[0, :, 8, 8], torch.stack(wanted))


def test_boxes_of_anchors(images):
    """With no shift and no growth each box has the size of the surest anchor."""
    network = untrained("siamrpnpp-mobilenetv2")
    prediction = network(*images)
    network.forward = lambda *_: prediction
    boxes = Teacher(network, STUDENT).pair(*images, 17).boxes
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_all_levels_of_features_are_put_together(images):
    features = Teacher(untrained("siamrpnpp-mobilenetv2"), STUDENT).features(images[1])
    levels = untrained("siamrpnpp-mobilenetv2").features(images[1])
    assert features.shape[1] == sum(level.shape[1] for level in levels)


def test_the_teacher_is_not_trained(images):
    teacher = Teacher(untrained("nanotrack-v2"), STUDENT)
    assert not any(p.requires_grad for p in teacher.network.parameters())
    assert not teacher.network.training
    assert not teacher.pair(*images, 17).score.requires_grad


@pytest.mark.parametrize(
    ("name", "value"),
    [("template_size", 111), ("search_size", 287), ("context", 0.4), ("keep_ratio", False)],
)
def test_other_crops_are_refused(name, value):
    crop = STUDENT.crop
    changed = replace(crop, **{name: value if name != "keep_ratio" else not crop.keep_ratio})
    with pytest.raises(ValueError, match=rf"^nanotrack-v2 cannot teach siamcorr-lite: its {name}"):
        Teacher(untrained("nanotrack-v2"), replace(STUDENT, crop=changed))


def test_a_network_without_boxes_cannot_teach():
    network = untrained("siamfc-alexnet")
    student = replace(STUDENT, crop=network.preset.crop)
    with pytest.raises(ValueError, match=r"^siamfc-alexnet cannot teach: it predicts no boxes$"):
        Teacher(network, student)


def test_a_teacher_without_its_weights(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_teacher(TeacherConfig("nanotrack-v2", str(tmp_path / "gone.pth")), STUDENT)


# imitation


def test_imitation_is_one_minus_the_explained_share():
    """Nothing said costs 1; what the teacher says costs 0."""
    taught = 3 * torch.randn(64, 5, 8, 8) + 7
    loss = FeatureImitation(5, 5)
    loss.measure(taught)
    assert loss(torch.zeros_like(taught), taught).item() == pytest.approx(1, rel=1e-3)
    said = (taught - loss.mean) / loss.deviation
    assert loss(said, taught).item() == pytest.approx(0, abs=1e-9)


def test_channels_have_equal_weights():
    taught = torch.randn(64, 2, 8, 8) * torch.tensor([1.0, 100.0])[:, None, None]
    loss = FeatureImitation(2, 2)
    loss.measure(taught)
    halves = []
    for channel in range(2):
        said = (taught - loss.mean) / loss.deviation
        said[:, channel] = 0
        halves.append(loss(said, taught).item())
    assert halves == pytest.approx([0.5, 0.5], rel=1e-3)


def test_other_numbers_of_channels_and_other_strides():
    loss = FeatureImitation(6, 4)
    value = loss(torch.randn(1, 6, 8, 8), torch.randn(1, 4, 15, 15))
    value.backward()
    assert loss.adapter.weight.grad.abs().sum() > 0
