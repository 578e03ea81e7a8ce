"""Our second head: both correlations by hand, its middle, and what it starts from."""

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import nn

from siamcorr.layers import LitePixelwiseHead, fuse
from siamcorr.layers.heads.lite import LiteMaps, score_times_quality
from siamcorr.layers.heads.lite_folded import FoldedPixelwiseHead, foldable
from siamcorr.models import build_model


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def head(randomized):
    return randomized(LitePixelwiseHead(4, (6, 6), whole=3))


@torch.no_grad()
@pytest.mark.parametrize("crop", [1, 3, 5, 7])
def test_by_hand(head, crop):
    """Both correlations, each half's side by side, through the tower to six channels."""
    head.crop = crop
    top, edge = (8 - crop) // 2, crop // 2
    z, x = noise(2, 4, 8, 8), noise(2, 4, 16, 16, seed=1)
    kernel, search = head.kernel(z), head.search(x)  # 4 channels score, 4 box, 3 + 3 depthwise
    cells = [
        torch.einsum("bchw,bck->bkhw", search[:, half], kernel[:, half].flatten(2)) / 4**0.5
        for half in (slice(0, 4), slice(4, 8))
    ]
    middle = kernel[:, 8:, top : top + crop, top : top + crop]
    whole = reference.depthwise(F.pad(search[:, 8:], (edge, edge, edge, edge)), middle) / crop
    response = torch.cat([cells[0], whole[:, :3], cells[1], whole[:, 3:]], dim=1)
    out = head.pred(head.tower(response))
    maps = head.maps(x, head.template(z))
    assert isinstance(maps, LiteMaps)
    torch.testing.assert_close(maps, LiteMaps(out[:, :1], out[:, 1:5].exp(), out[:, 5:]))
    prediction = head(x, head.template(z))
    torch.testing.assert_close(prediction.boxes, maps.boxes)
    wanted = score_times_quality(torch.cat([maps.logits, maps.quality], dim=1))
    torch.testing.assert_close(prediction.logits, wanted)


@torch.no_grad()
@pytest.mark.parametrize("way", ["cells", "whole"])
def test_a_cell_is_found_where_it_is(way):
    """The template's cell right below its middle is found in the same cell of the search."""
    head = LitePixelwiseHead(1, (), whole=1)
    head.kernel = head.search = Repeat()
    head.pred = nn.Conv2d(130, 6, 1)
    head.pred.weight.zero_()
    # Template cell (4, 4) is channel 36. The middle 5 x 5 cells are those from 1 to 5, so that
    # the depthwise response is one cell further.
    head.pred.weight[0, 64 if way == "whole" else 36] = 1
    x, z = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 8, 8)
    x[0, 0, 8, 8] = z[0, 0, 4, 4] = 1
    logits = head.eval().maps(x, head.template(z)).logits
    found = [7, 7] if way == "whole" else [8, 8]
    assert (logits[0, 0] == logits.max()).nonzero().tolist() == [found]


class Repeat(nn.Module):
    """Instead of a neck: the same for score, box, and both depthwise parts."""

    def forward(self, features):
        return features.repeat(1, 4, 1, 1)


@torch.no_grad()
def test_score_and_box_keep_to_their_halves():
    """Nothing of the box's half reaches the score's in any block."""
    head = LitePixelwiseHead(4, 6 * (6,), whole=2).eval()
    x = noise(1, 132, 15, 15).float()
    other = torch.cat([x[:, :66], noise(1, 66, 15, 15, seed=1).float()], dim=1)
    first, second = head.tower(x), head.tower(other)
    torch.testing.assert_close(first[:, :6], second[:, :6])
    assert not torch.allclose(first[:, 6:], second[:, 6:])


@torch.no_grad()
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("crop", [1, 5])
def test_folded(head, crop, layout):
    """The same maps with own templates and with a shared one; the head itself does not change."""
    head.crop = crop
    plain = fuse(head)
    assert foldable(plain)
    folded = FoldedPixelwiseHead(plain)
    x = noise(3, 4, 16, 16, seed=1).contiguous(memory_format=layout)
    for count in (3, 1):
        z = noise(count, 4, 8, 8)
        expected = head(x, head.template(z))
        template = folded.template(z)
        assert all(len(part) == count for part in template)
        torch.testing.assert_close(folded(x, template), expected)
        torch.testing.assert_close(plain(x, plain.template(z)), expected)
    parts = [folded.template(z[None]) for z in noise(3, 4, 8, 8)]
    stacked = tuple(torch.cat(part) for part in zip(*parts, strict=True))
    torch.testing.assert_close(folded.template(noise(3, 4, 8, 8)), stacked)


def test_what_cannot_be_folded(head):
    assert not foldable(nn.Identity())
    assert not foldable(head)  # its norms are not folded
    assert not foldable(fuse(LitePixelwiseHead(4, (), whole=3).eval()))
    nn.utils.parametrizations.weight_norm(head.search[1])  # computes its weight
    assert not foldable(fuse(head))


def test_network():
    """The shipped one: its template runs on 127 pixels, its search on 255, and it is light."""
    with torch.device("meta"):
        network = build_model("siamcorr-lite")
        image = torch.empty(2, 3, 255, 255)
        prediction = network(image, torch.empty(1, 3, 127, 127))
    assert [part.shape for part in prediction] == [(2, 1, 16, 16), (2, 4, 16, 16)]
    assert sum(p.numel() for p in network.parameters()) < 500_000
    keys = list(network.state_dict())
    assert "head.pred.bias" in keys
    assert {key.split(".")[0] for key in keys} == {"backbone", "head"}
