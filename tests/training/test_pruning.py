"""Pruning: channels that the prediction does not need go, the others take over their share."""

import pytest
import torch
from torch import nn

from siamcorr.layers import LitePixelwiseHead
from siamcorr.models import assemble, build_model, load_preset
from siamcorr.training import pruning
from siamcorr.training.pairs import Pair
from siamcorr.training.pruning import (
    choose_channels,
    measure_tower,
    prune_tower,
    refit,
    widen_tower,
)


def mixed(cells, channels, seed=0):
    """Channels that depend on each other, some more than others: (channels, cells)."""
    generator = torch.Generator().manual_seed(seed)
    sources = torch.randn(channels, cells, generator=generator, dtype=torch.float64)
    mixing = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    return (mixing * torch.logspace(0, -3, channels, dtype=torch.float64)) @ sources


def test_unused_and_repeated_channels_go_first():
    """One per branch: a channel without weight, and one that is the sum of two others."""
    channels = mixed(1000, 8)
    channels[5] = channels[6] + channels[7]
    weight = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weight[:, 2] = 0
    kept = choose_channels(torch.cov(channels), weight, 6)
    assert 2 not in kept
    assert len({5, 6, 7} & {*kept}) == 2
    assert [channel // 4 for channel in kept] == [0, 0, 0, 1, 1, 1]
    fitted = refit(torch.cov(channels), weight, kept)
    torch.testing.assert_close(fitted @ channels[kept], weight @ channels, rtol=1e-4, atol=1e-4)


def test_least_squares():
    """The weights are those of an ordinary regression, and better than the old ones."""
    channels = mixed(500, 8)
    channels -= channels.mean(1, keepdim=True)
    weight = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kept = choose_channels(torch.cov(channels), weight, 4)
    wanted = weight @ channels
    fitted = refit(torch.cov(channels), weight, kept)
    expected = torch.linalg.lstsq(channels[kept].T, wanted.T).solution.T
    torch.testing.assert_close(fitted, expected, rtol=1e-5, atol=1e-5)
    error = (wanted - fitted @ channels[kept]).square().mean()
    assert error < (wanted - weight[:, kept] @ channels[kept]).square().mean()


def test_each_removal_costs_least():
    """Against trying out every pair of channels, one of each branch."""
    channels = mixed(500, 8)
    covariance = torch.cov(channels)
    weight = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    deviation = (weight @ channels).std(1, keepdim=True)

    def error(kept):
        wanted = weight @ channels / deviation
        left = refit(covariance, weight / deviation, kept) @ channels[kept] - wanted
        return left.var(1).sum().item()

    rest = [*range(8)]
    for branch in (range(4), range(4, 8)):
        gone = min(branch, key=lambda channel: error([n for n in rest if n != channel]))
        rest.remove(gone)
    assert choose_channels(covariance, weight, 6) == rest


@pytest.fixture
def narrow(monkeypatch):
    """A network whose preset has 4 channels less in each branch of the last two blocks."""
    monkeypatch.setattr(pruning, "assemble", with_tower(16, 12, 12))
    return with_tower(16, 12, 12)(load_preset("siamcorr-lite"))


def with_tower(*channels):
    def build(preset):
        network = assemble(preset)
        network.head = LitePixelwiseHead(48, channels)
        return network

    return build


def pairs(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = (
        torch.randint(256, (count, 3, size, size), generator=generator) for size in (127, 255)
    )
    template, search = (image.to(torch.uint8) for image in images)
    return Pair(template, search, torch.zeros(count, 4), torch.ones(count), torch.ones(count))


@torch.no_grad()
def test_dead_channels_change_nothing(narrow, randomized):
    """In each of two blocks, four channels of each branch are always 0."""
    widen_tower(narrow)
    network = randomized(narrow).float()
    dead = [0, 3, 7, 9, 16, 20, 21, 31]
    for block in network.head.tower[1:]:
        block[2].weight[dead], block[2].bias[dead] = 0, -1
    before = network.state_dict()
    some = pairs(2)
    maps = network(some.search.float(), some.template.float())
    prune_tower(network, [some, pairs(1, seed=1)])
    assert network.state_dict().keys() == before.keys()
    with_tower(16, 12, 12)(network.preset).load_state_dict(network.state_dict())
    key = "head.tower.1.1.weight"
    rows, earlier = (state[key].flatten(1) for state in (network.state_dict(), before))
    places = (rows[:, None] == earlier).all(2).nonzero()
    assert places[:, 0].tolist() == list(range(24))  # each is one of the earlier ones
    kept = places[:, 1]
    assert [*kept] == sorted(kept)
    assert (kept < 16).sum() == 12
    variance = network.head.tower[1][2].running_var
    assert torch.equal(variance, before["head.tower.1.2.running_var"][kept])
    found = network(some.search.float(), some.template.float())
    torch.testing.assert_close(found, maps, rtol=1e-3, atol=1e-3)
    assert network.head.pred.weight.requires_grad


@torch.no_grad()
def test_a_constant_channel_moves_into_the_norm(narrow, randomized):
    """Of a block that another follows: its mean counts, though it never varies inside the map."""
    widen_tower(narrow)
    network = randomized(narrow).float()
    block, last = network.head.tower[1:]
    constant, dead = [0, 3, 7, 9, 16, 20, 21, 31], [1, 2, 4, 5, 17, 18, 19, 22]
    block[2].weight[constant], block[2].bias[constant] = 0, 2
    last[0].weight[constant] = 0
    last[0].weight[constant, :, 1, 1] = 0.5  # only the middle, so the border is no exception
    last[2].weight[dead], last[2].bias[dead] = 0, -1
    some = pairs(2)
    maps = network(some.search.float(), some.template.float())
    means, variances = last[2].running_mean.clone(), last[2].running_var
    prune_tower(network, [some])
    found = network(some.search.float(), some.template.float())
    torch.testing.assert_close(found, maps, rtol=1e-3, atol=1e-3)
    kept = (last[2].running_var[:, None] == variances).nonzero()[:, 1]
    assert len(kept) == 24
    assert not torch.isclose(last[2].running_mean, means[kept], atol=1e-2).all()


@torch.no_grad()
def test_moments(narrow, randomized):
    """Of all cells of all batches, as the next layer reads them; the network stays in its mode."""
    network = randomized(narrow).float().train()
    batches = [pairs(2), pairs(1, seed=1)]
    moments = measure_tower(network, batches)
    assert network.training
    network.eval()
    tower = network.head.tower
    seen = [[], [], []]
    for index, module in enumerate((tower[1][0], tower[2][0], tower)):
        module.register_forward_hook(lambda *given, cells=seen[index]: cells.append(given[2]))
    for pair in batches:
        network(pair.search.float(), pair.template.float())
    for found, cells in zip(moments, seen, strict=True):
        flat = torch.cat(cells).permute(1, 0, 2, 3).flatten(1).double()
        torch.testing.assert_close(found.mean, flat.mean(1))
        torch.testing.assert_close(found.covariance, torch.cov(flat, correction=0))


def test_what_cannot_be_pruned():
    with pytest.raises(ValueError, match="nanotrack-v2: its head has no tower"):
        widen_tower(build_model("nanotrack-v2"))
    network = build_model("siamcorr-lite")
    network.head = LitePixelwiseHead(48, (16, 16))
    with pytest.raises(ValueError, match="siamcorr-lite: the blocks of its tower are equally wide"):
        widen_tower(network)
    assert type(network.head.tower[-1][2]) is nn.BatchNorm2d
