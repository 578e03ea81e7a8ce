"""Our own model: its backbone takes ImageNet's weights, its head's score counts the quality."""

import math

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import nn

from siamcorr.layers import LiteHead
from siamcorr.layers.heads import Prediction
from siamcorr.layers.heads.lite import LiteMaps
from siamcorr.models import build_model
from siamcorr.models.lite import LiteBackbone, PaddedResidual

MEAN = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def head(randomized):
    return randomized(LiteHead(4, 6))


@pytest.fixture
def backbone(randomized):
    return randomized(LiteBackbone())


# head


@torch.no_grad()
def test_shapes_and_keys(head):
    template = head.template(noise(2, 4, 8, 8))
    assert [part.shape for part in template] == [(2, 6, 6, 6)] * 2
    x = noise(2, 4, 16, 16, seed=1)
    prediction, maps = head(x, template), head.maps(x, template)
    assert isinstance(prediction, Prediction)
    assert isinstance(maps, LiteMaps)
    assert [part.shape for part in prediction] == [(2, 1, 17, 17), (2, 4, 17, 17)]
    assert [part.shape for part in maps] == [(2, 1, 17, 17), (2, 4, 17, 17), (2, 1, 17, 17)]
    assert torch.equal(prediction.boxes, maps.boxes)
    stems = {key.split(".")[0] for key in head.state_dict()}
    sides = {
        f"{s}_{part}" for s in ("cls", "box") for part in ("kernel", "search", "norm", "tower")
    }
    assert stems == sides | {"cls_pred", "box_pred", "quality_pred"}
    assert "cls_tower.1.op.3.running_var" in head.state_dict()


@torch.no_grad()
@pytest.mark.parametrize("crop", [2, 4, 6, 8])
def test_branches_by_hand(head, crop):
    """Correlation as the mean over the template's middle, then norm, tower and prediction."""
    head.crop = crop
    margin, edge = (8 - crop) // 2, crop // 2
    z, x = noise(2, 4, 8, 8), noise(2, 4, 16, 16, seed=1)
    for side in ("cls", "box"):
        kernel, search, norm, tower = (
            head.get_submodule(f"{side}_{part}") for part in ("kernel", "search", "norm", "tower")
        )
        middle = kernel(z)[:, :, margin : 8 - margin, margin : 8 - margin]
        padded = F.pad(search(x), (edge, edge, edge, edge))
        response = reference.depthwise(padded, middle) / crop**2
        out = tower(norm(response))
        maps = head.maps(x, head.template(z))
        if side == "cls":
            torch.testing.assert_close(maps.logits, head.cls_pred(out))
        else:
            torch.testing.assert_close(maps.boxes, head.box_pred(out).exp())
            torch.testing.assert_close(maps.quality, head.quality_pred(out))


@torch.no_grad()
def test_middle_cell_looks_at_the_middle():
    """With a template of one hot cell the response to the same cell of the search is there."""
    head = LiteHead(1, 1, depth=0)
    for side in ("cls", "box"):
        head.add_module(f"{side}_kernel", nn.Identity())
        head.add_module(f"{side}_search", nn.Identity())
    x, z = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 8, 8)
    x[0, 0, 8, 8] = z[0, 0, 4, 4] = 1  # both right below the middle
    head.cls_pred.weight.fill_(1)
    logits = head.eval().maps(x, head.template(z)).logits
    assert (logits[0, 0] == logits.max()).nonzero().tolist() == [[8, 8]]


@torch.no_grad()
def test_own_templates_one_template_and_stacked_ones(head):
    x, z = noise(3, 4, 16, 16, seed=1), noise(3, 4, 8, 8)
    templates = [head.template(z[b : b + 1]) for b in range(3)]
    stacked = tuple(torch.cat(parts) for parts in zip(*templates, strict=True))
    torch.testing.assert_close(head.template(z), stacked)
    together = head(x, stacked)
    for b, template in enumerate(templates):
        alone = head(x[b : b + 1], template)
        torch.testing.assert_close([part[b : b + 1] for part in together], [*alone])
        shared = head(x, template)
        torch.testing.assert_close([part[b : b + 1] for part in shared], [*alone])


@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_parameter(head, unreached, training):
    head.train(training)
    x, z = noise(2, 4, 16, 16, seed=1).requires_grad_(), noise(2, 4, 8, 8).requires_grad_()
    prediction = head(x, head.template(z))
    (prediction.logits.square().sum() + prediction.boxes.square().sum()).backward()
    assert unreached(head) == []
    assert x.grad.any()
    assert z.grad.any()


def said(head, logit, quality):
    """The head's logits where its maps are such."""
    head.maps = lambda features, template: LiteMaps(logit, logit, quality)
    return head(logit, ()).logits


def test_score_is_the_root_of_chance_times_quality(head):
    line = torch.linspace(-12, 12, 49, dtype=torch.float64)
    logit, quality = (plane.contiguous() for plane in torch.meshgrid(line, line, indexing="ij"))
    found = said(head, logit, quality).sigmoid()
    expected = (logit.sigmoid() * quality.sigmoid()).sqrt()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    single = said(head, logit.float(), quality.float()).sigmoid()
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_score_at_the_extremes(head, dtype):
    line = torch.tensor([-3e4, -200, -30, -1, 0, 30, 200, 3e4], dtype=dtype)
    logit, quality = (plane.clone() for plane in torch.meshgrid(line, line, indexing="ij"))
    logit.requires_grad_()
    found = said(head, logit, quality)
    assert found.isfinite().all()
    expected = (logit.double().sigmoid() * quality.double().sigmoid()).sqrt()
    limit = 1e-3 if dtype == torch.float16 else 1.1e-6
    assert (found.double().sigmoid() - expected).abs().max() < limit
    found.sum().backward()
    assert logit.grad.isfinite().all()


def test_boxes_stay_finite(head):
    """However large the exponent, a distance is at most 1000 pixels."""
    with torch.no_grad():
        head.box_pred.bias.fill_(1e4)
    boxes = head(noise(1, 4, 16, 16), head.template(noise(1, 4, 8, 8))).boxes
    torch.testing.assert_close(boxes, torch.full_like(boxes, 1000))


def test_starts_from_few_targets_and_typical_boxes():
    torch.manual_seed(0)
    head = LiteHead(4, 6)
    maps = head.maps(*(noise(4, 4, 16, 16).float(), head.template(noise(4, 4, 8, 8).float())))
    assert maps.logits.sigmoid().mean() < 0.1
    assert maps.boxes.median().item() == pytest.approx(32, rel=0.2)
    assert head.cls_pred.bias.item() == pytest.approx(math.log(1 / 99))


# backbone


@pytest.mark.parametrize(
    ("level", "channels", "cells"),
    [
        (1, 16, 128),
        (3, 24, 64),
        (6, 32, 32),
        (7, 64, 16),
        (13, 96, 16),
    ],
)
def test_levels(level, channels, cells):
    with torch.device("meta"):
        net = LiteBackbone(level).eval()
        assert net(torch.empty(2, 3, 255, 255)).shape == (2, channels, cells, cells)
        assert net(torch.empty(1, 3, 127, 127)).shape[2] == math.ceil(cells / 2)
    assert net.channels == channels
    assert len(net.features) == level + 1


@pytest.mark.parametrize("level", [0, 14, -1])
def test_no_such_level(level):
    with pytest.raises(ValueError, match=r"level must be in 1\.\.13, got"):
        LiteBackbone(level)


def test_residuals_are_where_shapes_allow():
    with torch.device("meta"):
        net = LiteBackbone()
    blocks = [block for block in net.features if isinstance(block, PaddedResidual)]
    assert [number for number, block in enumerate(blocks, 1) if block.residual] == [
        *(3, 5, 6, 8, 9, 10, 12, 13)
    ]


@torch.no_grad()
def test_residual_by_hand(backbone):
    """The block widens, filters, narrows, and adds what came in."""
    block, x = backbone.features[5], noise(1, 32, 6, 6)
    conv = block.conv
    wide = F.relu6(conv[1](F.conv2d(x, conv[0].weight)))
    filtered = F.relu6(conv[4](F.conv2d(wide, conv[3].weight, padding=1, groups=192)))
    torch.testing.assert_close(block(x), x + conv[7](F.conv2d(filtered, conv[6].weight)))


def test_gradients_reach_every_parameter_of_the_backbone(backbone, unreached):
    image = noise(2, 3, 63, 63).requires_grad_()
    backbone(image).square().sum().backward()
    assert unreached(backbone) == []
    assert image.grad.any()


@torch.no_grad()
def test_load_imagenet(backbone):
    """As the classifier's layers see an image that is scaled by mean and deviation."""
    published = {key: value.clone() for key, value in backbone.state_dict().items()}
    published |= {"features.18.0.weight": noise(2), "classifier.1.bias": noise(3)}
    given = {key: value.clone() for key, value in published.items()}
    image = 255 * noise(2, 3, 63, 63).sigmoid()
    own = LiteBackbone().double().eval()
    own.load_imagenet(published)
    expected = backbone((image / 255 - MEAN) / STD)
    torch.testing.assert_close(own(image - 255 * MEAN), expected, rtol=1e-9, atol=1e-9)
    for key, value in given.items():
        assert torch.equal(published[key], value), key
    del published["features.3.conv.0.weight"]
    with pytest.raises(KeyError, match=r"features\.3\.conv\.0\.weight"):
        own.load_imagenet(published)


# both


def test_network():
    """Its template runs on 127 pixels, its search on 255, and it is as light as it is called."""
    with torch.device("meta"):
        network = build_model("siamcorr-lite")
        image = torch.empty(2, 3, 255, 255)
        prediction = network(image, torch.empty(1, 3, 127, 127))
    assert [part.shape for part in prediction] == [(2, 1, 17, 17), (2, 4, 17, 17)]
    assert sum(p.numel() for p in network.parameters()) < 2_000_000
    keys = list(network.state_dict())
    assert "backbone.features.0.0.weight" in keys
    assert "backbone.features.13.conv.7.running_mean" in keys
    assert "head.quality_pred.bias" in keys
    assert {key.split(".")[0] for key in keys} == {"backbone", "head"}
