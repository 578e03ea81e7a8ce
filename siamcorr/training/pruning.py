"""Prune the tower of a head: its last blocks keep the channels that are needed most.

What reads the channels of a block is linear in them: the prediction, or the convolutions of the
next block. So its error without some of them follows from their covariance, and least squares give
the weights of the others.

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


def widen_tower(network: SiameseNetwork) -> None:
    """Give all blocks of the tower as many channels as the first, at random, for older weights.

    Raises:
        ValueError: the head has no such tower, or all its blocks are as wide already.
    """
    head = network.head
    if not isinstance(head, LitePixelwiseHead):
        raise ValueError(f"{network.preset.name}: its head has no tower that can be pruned")
    widths = [_pointwise(head, index).out_channels for index in range(len(head.tower))]
    if len({*widths}) < 2:
        raise ValueError(f"{network.preset.name}: the blocks of its tower are equally wide")
    size, _, wholes = head.parts
    cells = (_pointwise(head, 0).in_channels - wholes) // 2
    channels = len(widths) * (widths[0] // 2,)
    wide = LitePixelwiseHead(size, channels, wholes // 2, head.crop, cells)
    head.tower, head.pred = wide.tower, wide.pred


@torch.no_grad()
def prune_tower(network: SiameseNetwork, batches: Iterable[Pair]) -> None:
    """Prune the blocks of a head's tower to the channels of its preset, in place.

    Args:
        network: network with a `LitePixelwiseHead` that `widen_tower` has changed.
        batches: pairs on which the channels are compared.
    """
    head = cast("LitePixelwiseHead", network.head)
    goal = cast("LitePixelwiseHead", assemble(network.preset).head)
    moments = measure_tower(network, batches)
    for index in reversed(range(len(head.tower))):
        channels = _pointwise(goal, index).out_channels
        if channels < _pointwise(head, index).out_channels:
            _prune_block(head, index, channels, moments[index])


def measure_tower(network: SiameseNetwork, batches: Iterable[Pair]) -> list[Moments]:
    """Measure the moments of each block's channels on the search crops of pairs.

    Those of the last block as they are, the others behind the depthwise convolution of the next.
    """
    head = cast("LitePixelwiseHead", network.head)
    blocks = range(len(head.tower))
    names = [*(f"tower.{index}.0" for index in blocks[1:]), f"tower.{blocks[-1]}"]
    sums: dict[str, tuple[Tensor, Tensor, int]] = {}
    training = network.training
    network.eval()
    for pair in batches:
        template = network.template(pair.template.float())
        with capture_outputs(head, names) as outputs:
            network.search(pair.search.float(), template)
        for name, maps in outputs.items():
            cells = maps.permute(1, 0, 2, 3).flatten(1).double().cpu()  # (C, B*H*W)
            new = cells.sum(1), cells @ cells.T, cells.shape[1]
            total, squares, count = sums.get(name, (0, 0, 0))
            sums[name] = new[0] + total, new[1] + squares, new[2] + count
    network.train(training)
    return [_moments(*sums[name]) for name in names]


def _moments(total: Tensor, squares: Tensor, count: int) -> Moments:
    mean = total / count
    return Moments(mean, squares / count - torch.outer(mean, mean))


def _prune_block(head: LitePixelwiseHead, index: int, channels: int, moments: Moments) -> None:
    last = index == len(head.tower) - 1
    reader = head.pred if last else _pointwise(head, index + 1)
    size = reader.in_channels // reader.groups
    kept: list[int] = []
    rows, constants = [], []
    for group, weight in enumerate(reader.weight.flatten(1).double().chunk(reader.groups)):
        part = slice(group * size, (group + 1) * size)
        mean, covariance = moments.mean[part], moments.covariance[part, part]
        chosen = choose_channels(
            covariance, weight, channels // reader.groups, branches=2 // reader.groups
        )
        rows.append(refit(covariance, weight, chosen))
        constants.append(weight @ mean - rows[-1] @ mean[chosen])
        kept += [group * size + channel for channel in chosen]
    reader.weight = nn.Parameter(torch.cat(rows)[:, :, None, None].to(reader.weight))
    reader.in_channels = channels
    constant = torch.cat(constants).float()
    if last:
        assert head.pred.bias is not None
        head.pred.bias = nn.Parameter(head.pred.bias + constant)
    else:
        following = cast("nn.Sequential", head.tower[index + 1])
        depthwise, norm = cast("nn.Conv2d", following[0]), cast("nn.BatchNorm2d", following[2])
        depthwise.weight = nn.Parameter(depthwise.weight[kept])
        depthwise.in_channels = depthwise.out_channels = depthwise.groups = channels
        norm.get_buffer("running_mean").sub_(constant)
    _keep_outputs(cast("nn.Sequential", head.tower[index]), kept)


def _keep_outputs(block: nn.Sequential, kept: list[int]) -> None:
    """Keep these output channels of a block's 1x1 convolution and norm."""
    pointwise, norm = cast("nn.Conv2d", block[1]), cast("nn.BatchNorm2d", block[2])
    pointwise.weight = nn.Parameter(pointwise.weight[kept])
    pointwise.out_channels = norm.num_features = len(kept)
    norm.weight, norm.bias = nn.Parameter(norm.weight[kept]), nn.Parameter(norm.bias[kept])
    for name in ("running_mean", "running_var"):
        norm.register_buffer(name, norm.get_buffer(name)[kept])


def _pointwise(head: LitePixelwiseHead, index: int) -> nn.Conv2d:
    """The 1x1 convolution of a block of the tower."""
    return cast("nn.Conv2d", cast("nn.Sequential", head.tower[index])[1])


def choose_channels(
    covariance: Tensor, weight: Tensor, channels: int, branches: int = 2
) -> list[int]:
    """Choose the channels that stay: remove one of each branch until so many are left.

    Each time it is the channel whose removal adds the least to the squared error of the maps, each
    map in units of its deviation, if the weights of the others are fitted again.

    Args:
        covariance: (C, C), branch after branch.
        weight: (maps, C), of what reads the channels.
        channels: how many stay.
        branches: parts of one size, of which equally many channels stay.
    """
    deviation = torch.einsum("oi,ij,oj->o", weight, covariance, weight).sqrt()
    target = (weight / deviation[:, None]) @ covariance  # (maps, C)
    kept = list(range(len(covariance)))
    for step in range(len(kept) - channels):
        inverse = _inverse(covariance, kept)
        fitted = target[:, kept] @ inverse
        cost = fitted.square().sum(0) / inverse.diagonal()
        branch = torch.tensor(kept) * branches // len(covariance)
        cost[branch != step % branches] = torch.inf
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
