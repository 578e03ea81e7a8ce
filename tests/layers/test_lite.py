"""Our own model: its head's score counts the quality, and it is as light as it is called."""

import math

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import nn

from siamcorr.layers import LiteHead, LitePixelwiseHead
from siamcorr.layers.heads import Prediction
from siamcorr.layers.heads.lite import LiteMaps


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


both_heads = pytest.mark.parametrize(
    ("kind", "channels", "score", "sides"),
    [
        (LiteHead, 6, "cls_pred.bias", "box_pred.bias"),
        (LitePixelwiseHead, 6 * (6,), "pred.bias", "pred.bias"),
    ],
)


@pytest.fixture
def head(randomized):
    return randomized(LiteHead(4, 6))


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
    planes = logit[:, None], quality[:, None]
    head.maps = lambda features, template: LiteMaps(planes[0], planes[0], planes[1])
    return head(logit, ()).logits[:, 0]


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


@both_heads
def test_boxes_stay_finite(kind, channels, score, sides, randomized):
    """However large the exponent, a distance is at most 1000 pixels."""
    head = randomized(kind(4, channels))
    with torch.no_grad():
        head.get_parameter(sides).fill_(1e4)
    boxes = head(noise(1, 4, 16, 16), head.template(noise(1, 4, 8, 8))).boxes
    torch.testing.assert_close(boxes, torch.full_like(boxes, 1000))


@both_heads
def test_starts_from_few_targets_and_typical_boxes(kind, channels, score, sides):
    torch.manual_seed(0)
    head = kind(4, channels)
    maps = head.maps(*(noise(4, 4, 16, 16).float(), head.template(noise(4, 4, 8, 8).float())))
    assert maps.logits.sigmoid().mean() < 0.1
    assert maps.boxes.median().item() == pytest.approx(32, rel=0.2)
    assert head.get_parameter(score)[0].item() == pytest.approx(math.log(1 / 99))


# the network
