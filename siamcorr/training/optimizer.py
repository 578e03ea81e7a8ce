"""The optimizer, the learning rate schedule, and the moving average of weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from siamcorr.training.config import TrainConfig


def make_optimizer(objective: nn.Module, config: TrainConfig) -> Optimizer:
    """Make the optimizer, with a learning rate for each part of the network.

    The backbone's rate is `backbone_rate` times that of the others; that of norms and biases, which
    have one dimension, is `norm_rate` times that of their part.
    """
    parts: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in objective.named_parameters():
        part = name.startswith("network.backbone."), parameter.ndim == 1
        parts.setdefault(part, []).append(parameter)
    groups = []
    for (backbone, norm), parameters in sorted(parts.items()):
        rate = config.rate * (config.backbone_rate if backbone else 1)
        rate *= config.norm_rate if norm else 1
        groups.append({"params": parameters, "lr": rate})
    if config.optimizer == "sgd":
        return SGD(groups, momentum=0.9, weight_decay=config.weight_decay)
    return AdamW(groups, weight_decay=config.weight_decay)


def learning_rate(step: int, config: TrainConfig, steps: int) -> float:
    """Return the factor of the learning rate: linear warm-up, then half a cosine down to 0.01.

    Example:
        >>> from siamcorr.training.config import DataConfig
        >>> config = TrainConfig("m", "o", DataConfig(("f",)), warmup=10)
        >>> [round(learning_rate(step, config, 110), 3) for step in (0, 9, 10, 60, 110)]
        [0.1, 1.0, 1.0, 0.505, 0.01]
    """
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2


@torch.no_grad()
def moving_average(
    decay: float, averages: Sequence[Tensor], values: Sequence[Tensor], count: Tensor | int
) -> None:
    """Update the moving averages in place; faster at first, to forget the random start.

    Args:
        decay: share of the old average that an update keeps in the long run.
        averages: averages of weights and buffers.
        values: current weights and buffers.
        count: number of updates so far.
    """
    kept = min(decay, (1 + int(count)) / (10 + int(count)))
    for average, value in zip(averages, values, strict=True):
        if average.is_floating_point():
            average.lerp_(value, 1 - kept)
        else:
            average.copy_(value)
