"""Losses between the maps of student and teacher: features, stages, and inner maps of a head."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def channel_deviations(features: Tensor, least: float) -> Tensor:
    """Return the standard deviation of each channel of (B, C, h, w): (C, 1, 1).

    It is at least `least` times the root mean square of all deviations, so that errors in nearly
    constant channels do not dominate a loss.
    """
    deviations = features.std(dim=(0, 2, 3))
    usual = deviations.square().mean().sqrt()
    return deviations.clamp(min=float(least * usual) + 1e-6)[:, None, None]


def weighted_mean(error: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean of errors (B,); 0 if all weights (B,) are 0."""
    return (error * weight).sum() / weight.sum().clamp(min=1)


class FeatureImitation(nn.Module):
    """Loss between the features of student and teacher.

    The teacher's channels are normalised to mean 0 and deviation 1, so that all have the same
    weight. The student's features pass a 1x1 convolution, which is dropped after training. It
    starts as the identity if the numbers of channels are equal.

    Args:
        channels: number of the student's channels, C.
        teacher_channels: number of the teacher's channels, T.

    Shapes: (B, C, h, w) and (B, T, h', w') -> a scalar, 1 minus the explained share of variance.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.adapter = nn.Conv2d(channels, teacher_channels, 1)
        if channels == teacher_channels:
            nn.init.dirac_(self.adapter.weight)
            nn.init.zeros_(cast("Tensor", self.adapter.bias))
        self.register_buffer("mean", torch.zeros(teacher_channels, 1, 1))
        self.register_buffer("deviation", torch.ones(teacher_channels, 1, 1))

    @torch.no_grad()
    def measure(self, features: Tensor) -> None:
        """Measure mean and deviation of the teacher's channels on features (B, T, h, w)."""
        self.mean.copy_(features.mean(dim=(0, 2, 3))[:, None, None])
        self.deviation.copy_(channel_deviations(features, least=1e-3))

    def forward(
        self, features: Tensor, teacher_features: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Return the mean squared error to the normalised features of the teacher.

        Args:
            features: (B, C, h, w), the student's.
            teacher_features: (B, T, h', w').
            weight: (B,) weight of each picture; default: 1.
        """
        target = (teacher_features.float() - self.mean) / self.deviation
        own = self.adapter(features).float()
        if own.shape[-2:] != target.shape[-2:]:  # another stride
            target = F.interpolate(target, own.shape[-2:], mode="bilinear", align_corners=False)
        error = F.mse_loss(own, target, reduction="none").mean(dim=(1, 2, 3))
        if weight is None:
            return error.mean()
        return weighted_mean(error, weight)


class Deviations(nn.Module):
    """Base of losses with a deviation for each of C channels."""

    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("deviation", torch.ones(channels, 1, 1))


class ChannelError(Deviations):
    """Mean squared error of maps; each channel is divided by its deviation.

    Args:
        channels: C.

    Shapes: (B, C, h, w) twice -> a scalar, about 1 minus the explained share of variance.
    """

    @torch.no_grad()
    def measure(self, maps: Tensor) -> None:
        """Measure the deviations on maps (B, C, h, w)."""
        self.deviation.copy_(channel_deviations(maps, least=0.1))

    def forward(self, maps: Tensor, target: Tensor) -> Tensor:
        """Compute the error of maps (B, C, h, w)."""
        return ((maps.float() - target.float()) / self.deviation).square().mean()


class ForcedImitation(Deviations):
    """Loss of one layer with teacher forcing.

    The target is the teacher's map, each channel divided by its standard deviation. In the forward
    pass it replaces the student's output: the next layer learns from inputs of the same scale.

    Args:
        channels: C.
    """

    @torch.no_grad()
    def measure(self, maps: Tensor) -> None:
        """Measure the deviations on the teacher's maps (B, C, h, w).

        A nearly constant channel is divided by 0.3 times its root mean square, which gives about 3.
        """
        size = maps.square().mean(dim=(0, 2, 3)).sqrt()[:, None, None]
        self.deviation.copy_(torch.maximum(channel_deviations(maps, least=0.1), 0.3 * size))

    def target(self, maps: Tensor) -> Tensor:
        """Scale the teacher's maps (B, C, h, w) to the student's."""
        return maps / self.deviation

    def forward(self, maps: Tensor, teacher_maps: Tensor, weight: Tensor) -> Tensor:
        """Return the mean squared error to the scaled maps of the teacher.

        Args:
            maps: (B, C, h, w), the student's.
            teacher_maps: (B, C, h, w), before `target`.
            weight: (B,) weight of each pair.
        """
        error = (maps.float() - self.target(teacher_maps.float())).square().mean(dim=(1, 2, 3))
        return weighted_mean(error, weight)
