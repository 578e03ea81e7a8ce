"""Our second head: both correlations by hand, its middle, and what it starts from."""

import math

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import nn

from siamcorr.layers import LiteTwofoldHead
from siamcorr.layers.heads.lite import LiteMaps, score_times_quality


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def head(randomized):
    return randomized(LiteTwofoldHead(4, 6, depth=2))


@torch.no_grad()
@pytest.mark.parametrize("crop", [2, 4, 6])
def test_by_hand(head, crop):
    """Both correlations as means, side by side, through merge and tower to six channels."""
    head.crop = crop
    margin, edge = (8 - crop) // 2, crop // 2 - 1
    z, x = noise(2, 4, 8, 8), noise(2, 4, 16, 16, seed=1)
    kernel, search = head.kernel(z), head.search(x)
    cells = [
        torch.einsum("bchw,bck->bkhw", search[:, half], kernel[:, half].flatten(2)) / 6
        for half in (slice(0, 6), slice(6, 12))
    ]
    middle = kernel[:, :, margin : 8 - margin, margin : 8 - margin]
    whole = reference.depthwise(F.pad(search, (edge, edge, edge, edge)), middle) / crop**2
    both = torch.cat([head.reduce(head.attention(torch.cat(cells, dim=1))), whole], dim=1)
    out = head.pred(head.tower(head.merge(both)))
    maps = head.maps(x, head.template(z))
    assert isinstance(maps, LiteMaps)
    torch.testing.assert_close(maps, LiteMaps(out[:, :1], out[:, 1:5].exp(), out[:, 5:]))
    prediction = head(x, head.template(z))
    torch.testing.assert_close(prediction.boxes, maps.boxes)
    wanted = score_times_quality(maps.logits, maps.quality)
    torch.testing.assert_close(prediction.logits, wanted)


@torch.no_grad()
@pytest.mark.parametrize("way", ["cells", "whole"])
def test_middle_cell_looks_at_the_middle(way):
    """A template seen in the middle of the search is found there by either correlation."""
    head = LiteTwofoldHead(2, 1, depth=0)
    head.kernel, head.search, head.attention = nn.Identity(), nn.Identity(), nn.Identity()
    weight = torch.zeros(2, 130, 1, 1)
    weight[0, slice(128, 130) if way == "whole" else slice(0, 128)] = 1
    head.merge = nn.Conv2d(130, 2, 1, bias=False)
    head.merge.weight = nn.Parameter(weight)
    head.reduce = nn.Conv2d(128, 128, 2, groups=128)
    head.reduce.weight.fill_(1)
    head.reduce.bias.zero_()
    head.pred.weight.fill_(1)
    x, z = torch.zeros(1, 2, 16, 16), torch.zeros(1, 2, 8, 8)
    x[:, :, 7:9, 7:9] = z[:, :, 3:5, 3:5] = 1  # the four cells around the middle of both
    logits = head.eval().maps(x, head.template(z)).logits
    assert (logits[0, 0] == logits.max()).nonzero().tolist() == [[7, 7]]


@torch.no_grad()
def test_score_and_box_keep_to_their_halves():
    """Up to the merge they are apart; behind it nothing of the box's half reaches the score's."""
    head = LiteTwofoldHead(4, 6).eval()
    x = noise(1, 12, 15, 15).float()
    other = torch.cat([x[:, :6], noise(1, 6, 15, 15, seed=1).float()], dim=1)
    first, second = head.tower(x), head.tower(other)
    torch.testing.assert_close(first[:, :6], second[:, :6])
    assert not torch.allclose(first[:, 6:], second[:, 6:])


def test_boxes_stay_finite(head):
    """However large the exponent, a distance is at most 1000 pixels."""
    with torch.no_grad():
        head.pred.bias.fill_(1e4)
    boxes = head(noise(1, 4, 16, 16), head.template(noise(1, 4, 8, 8))).boxes
    torch.testing.assert_close(boxes, torch.full_like(boxes, 1000))


def test_starts_from_few_targets_and_typical_boxes():
    torch.manual_seed(0)
    head = LiteTwofoldHead(4, 6)
    maps = head.maps(*(noise(4, 4, 16, 16).float(), head.template(noise(4, 4, 8, 8).float())))
    assert maps.logits.sigmoid().mean() < 0.1
    assert maps.boxes.median().item() == pytest.approx(32, rel=0.2)
    assert head.pred.bias[0].item() == pytest.approx(math.log(1 / 99))
