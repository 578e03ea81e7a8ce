"""How weights move: the optimizer, its rate from step to step, and the average behind them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from siamcorr.training.config import TrainConfig


def make_optimizer(objective: nn.Module, config: TrainConfig) -> Optimizer:
    """For the head and all else, and at a share of its rate for the network's backbone."""
    known = [*objective.named_parameters()]
    head = [p for name, p in known if not name.startswith("network.backbone.")]
    backbone = {
        "params": [p for name, p in known if name.startswith("network.backbone.")],
        "lr": config.rate * config.backbone_rate,
    }
    groups = [{"params": head, "lr": config.rate}, backbone]
    if config.optimizer == "sgd":
        return SGD(groups, momentum=0.9, weight_decay=config.weight_decay)
    return AdamW(groups, weight_decay=config.weight_decay)


def learning_rate(step: int, config: TrainConfig, steps: int) -> float:
    """Share of the highest rate at a step: a line up to it, then half a cosine down to a hundredth.

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
    """Move averages towards values, in place; faster at first, or the random start would stay.

    Args:
        decay: the share of the old that is kept in the long run.
        averages: of weights and buffers.
        values: what they are now.
        count: updates so far.
    """
    kept = min(decay, (1 + int(count)) / (10 + int(count)))
    for average, value in zip(averages, values, strict=True):
        if average.is_floating_point():
            average.lerp_(value, 1 - kept)
        else:
            average.copy_(value)
