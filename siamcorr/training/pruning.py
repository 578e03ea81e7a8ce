"""Prune the last block of a tower: keep the channels that the prediction needs most.

The prediction is linear in these channels. So its error without some of them follows from their
covariance, and least squares give the weights of the others.

Reference:
    He et al., Channel pruning for accelerating very deep neural networks, 2017, arXiv:1707.06168;
    Hassibi and Stork, Optimal Brain Surgeon, 1992, for the order in which channels are removed.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from siamcorr.layers import LitePixelwiseHead
from siamcorr.models import SiameseNetwork, assemble
from siamcorr.training.inner_maps import capture_outputs
from siamcorr.training.pairs import Pair

RIDGE = 1e-9  # added to variances, for channels that are always 0


class Moments(NamedTuple):
    """Mean (C,) and covariance (C, C) of channels over all cells, float64."""

    mean: Tensor
    covariance: Tensor


def widen_last_block(network: SiameseNetwork) -> None:
    """Give the last block as many channels as the one before it, at random, for older weights.

    Raises:
        ValueError: the head has no such block, or it is already as wide.
    """
    head = network.head
    if not isinstance(head, LitePixelwiseHead) or len(head.tower) < 2:
        raise ValueError(f"{network.preset.name}: its head has no last block that can be pruned")
    last = cast("nn.Sequential", head.tower[-1])
    width = cast("nn.Conv2d", last[1]).in_channels
    if head.pred.in_channels == width:
        raise ValueError(f"{network.preset.name}: its last block is as wide as the others")
    last[1] = nn.Conv2d(width, width, 1, groups=2, bias=False)
    last[2] = nn.BatchNorm2d(width)
    head.pred = nn.Conv2d(width, head.pred.out_channels, 1)


@torch.no_grad()
def prune_last_block(network: SiameseNetwork, batches: Iterable[Pair]) -> None:
    """Prune the last block of a network's head to the channels of its preset, in place.

    Args:
        network: network with a `LitePixelwiseHead` that `widen_last_block` has changed.
        batches: pairs on which the channels are compared.
    """
    head = cast("LitePixelwiseHead", network.head)
    channels = cast("LitePixelwiseHead", assemble(network.preset).head).pred.in_channels
    moments = measure_last_block(network, batches)
    weight = head.pred.weight.flatten(1).double()  # (6, C)
    kept = choose_channels(moments.covariance, weight, channels)
    refitted = refit(moments.covariance, weight, kept)
    bias = weight @ moments.mean - refitted @ moments.mean[kept]
    block = cast("nn.Sequential", head.tower[-1])
    pointwise, norm = cast("nn.Conv2d", block[1]), cast("nn.BatchNorm2d", block[2])
    pointwise.weight = nn.Parameter(pointwise.weight[kept])
    pointwise.out_channels = norm.num_features = head.pred.in_channels = channels
    norm.weight, norm.bias = nn.Parameter(norm.weight[kept]), nn.Parameter(norm.bias[kept])
    for name in ("running_mean", "running_var"):
        norm.register_buffer(name, norm.get_buffer(name)[kept])
    head.pred.weight = nn.Parameter(refitted[:, :, None, None].to(head.pred.weight))
    assert head.pred.bias is not None
    head.pred.bias = nn.Parameter(head.pred.bias + bias.to(head.pred.bias))


def measure_last_block(network: SiameseNetwork, batches: Iterable[Pair]) -> Moments:
    """Measure the moments of the last block's channels on the search crops of pairs."""
    head = cast("LitePixelwiseHead", network.head)
    name = f"tower.{len(head.tower) - 1}"
    total = torch.zeros(head.pred.in_channels, dtype=torch.float64)
    squares, count = torch.zeros(len(total), len(total), dtype=torch.float64), 0
    training = network.training
    network.eval()
    for pair in batches:
        template = network.template(pair.template.float())
        with capture_outputs(head, [name]) as outputs:
            network.search(pair.search.float(), template)
        cells = outputs[name].permute(1, 0, 2, 3).flatten(1).double().cpu()  # (C, B*H*W)
        total, squares = total + cells.sum(1), squares + cells @ cells.T
        count += cells.shape[1]
    network.train(training)
    mean = total / count
    return Moments(mean, squares / count - torch.outer(mean, mean))


def choose_channels(covariance: Tensor, weight: Tensor, channels: int) -> list[int]:
    """Choose the channels that stay: remove one of each branch until so many are left.

    Each time it is the channel whose removal adds the least to the squared error of the maps, each
    map in units of its deviation, if the weights of the others are fitted again.

    Args:
        covariance: (C, C), the first half of the channels those of the first branch.
        weight: (maps, C), of the prediction.
        channels: how many stay.
    """
    deviation = torch.einsum("oi,ij,oj->o", weight, covariance, weight).sqrt()
    target = (weight / deviation[:, None]) @ covariance  # (maps, C)
    kept = list(range(len(covariance)))
    for step in range(len(kept) - channels):
        inverse = _inverse(covariance, kept)
        fitted = target[:, kept] @ inverse
        cost = fitted.square().sum(0) / inverse.diagonal()
        branch = torch.tensor(kept) * 2 // len(covariance)
        cost[branch != step % 2] = torch.inf
        del kept[int(cost.argmin())]
    return kept


def refit(covariance: Tensor, weight: Tensor, kept: list[int]) -> Tensor:
    """The weights (maps, len(kept)) that come closest to the maps, by least squares."""
    fitted: Tensor = weight @ covariance[:, kept] @ _inverse(covariance, kept)
    return fitted


def _inverse(covariance: Tensor, kept: list[int]) -> Tensor:
    part = covariance[kept][:, kept]
    inverse: Tensor = torch.linalg.inv(part + RIDGE * torch.eye(len(kept), dtype=part.dtype))
    return inverse
