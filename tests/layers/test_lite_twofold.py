"""Our second head: both correlations by hand, its middle, and what it starts from."""

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import nn

from siamcorr.layers import LiteTwofoldHead
from siamcorr.layers.heads.lite import LiteMaps, score_times_quality
from siamcorr.models import build_model


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
    reduced = head.reduce(head.attention(torch.cat(cells, dim=1)))
    score, box = (
        torch.cat([reduced[:, k * 64 :][:, :64], whole[:, k * 6 :][:, :6]], dim=1) for k in (0, 1)
    )
    out = head.pred(head.tower(head.merge(torch.cat([score, box], dim=1))))
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
    weight[0, [64, 129] if way == "whole" else [*range(64), *range(65, 129)]] = 1
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
    """Nothing of the box's half reaches the score's, in the tower and in the merge."""
    head = LiteTwofoldHead(4, 6).eval()
    x = noise(1, 12, 15, 15).float()
    other = torch.cat([x[:, :6], noise(1, 6, 15, 15, seed=1).float()], dim=1)
    first, second = head.tower(x), head.tower(other)
    torch.testing.assert_close(first[:, :6], second[:, :6])
    assert not torch.allclose(first[:, 6:], second[:, 6:])
    merge = head.merge
    x = noise(1, 140, 15, 15).float()
    other = torch.cat([x[:, :70], noise(1, 70, 15, 15, seed=1).float()], dim=1)
    torch.testing.assert_close(merge(x)[:, :6], merge(other)[:, :6])
    assert not torch.allclose(merge(x)[:, 6:], merge(other)[:, 6:])


def test_network():
    """The shipped one: its template runs on 127 pixels, its search on 255, and it is light."""
    with torch.device("meta"):
        network = build_model("siamcorr-lite")
        image = torch.empty(2, 3, 255, 255)
        prediction = network(image, torch.empty(1, 3, 127, 127))
    assert [part.shape for part in prediction] == [(2, 1, 15, 15), (2, 4, 15, 15)]
    assert sum(p.numel() for p in network.parameters()) < 500_000
    keys = list(network.state_dict())
    assert "head.pred.bias" in keys
    assert {key.split(".")[0] for key in keys} == {"backbone", "head"}
