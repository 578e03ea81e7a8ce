"""Objectives for a backbone: it learns the teacher's features of any crop, without labels.

An objective maps a batch to named losses; `total` is minimised. Network and losses are one module,
as DistributedDataParallel needs it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from siamcorr.models import SiameseNetwork
from siamcorr.training.imitation import ChannelError, FeatureImitation
from siamcorr.training.teacher import Teacher, backbone_stages, run_stages


class Objective(nn.Module):
    """Base class: the network, the teacher, and the imitation losses."""

    columns: tuple[str, ...]  # names of the losses

    def __init__(self, network: SiameseNetwork, teacher: Teacher | None) -> None:
        super().__init__()
        self.network = network
        self._teacher = [teacher] if teacher else []  # a list, so that it is not a submodule
        self.imitation: FeatureImitation | None = None
        self.inner = nn.ModuleList()  # imitations of inner maps

    def freeze(self) -> None:
        """Before an epoch: freeze what is not trained."""

    def measure(self, images: Tensor) -> None:
        """Measure the statistics of the teacher's features on images (B, 3, h, w), if needed."""
        for teacher in self._teacher:
            if self.imitation is not None:
                self.imitation.measure(teacher.features(images))


class FeatureObjective(Objective):
    """The backbone learns the teacher's features of any crop; the head is not trained.

    Args:
        network: the student.
        teacher: the teacher.
    """

    columns = ("features",)

    def __init__(self, network: SiameseNetwork, teacher: Teacher) -> None:
        super().__init__(network, teacher)
        cast("nn.Module", network.head).requires_grad_(False)
        self.imitation = make_imitation(network, teacher)

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Compute the loss of crops (B, 3, h, w)."""
        target = self._teacher[0].features(crops)
        assert self.imitation is not None
        loss = self.imitation(self.network.features(crops), target)
        return {"features": loss, "total": loss}


class StageObjective(Objective):
    """Each stage of the backbone learns the teacher's same stage, from the same input.

    The input of a stage is the teacher's output of the stage before. So every stage can learn from
    the first step on; errors of earlier stages are left to a later `FeatureObjective`.

    Args:
        network: the student; its stages are the layers of `backbone.features`.
        teacher: the teacher; its stages must have the student's channels and strides.
        stages: the stages to learn, counted from 0; all others stay as they are. Empty for all.

    Raises:
        ValueError: a backbone has no stages, or the stages differ, or there is none of a number.

    Reference:
        Li et al., Blockwisely Supervised Neural Architecture Search with Knowledge Distillation,
        2019, arXiv:1911.13053.
    """

    columns = ("features",)

    def __init__(
        self, network: SiameseNetwork, teacher: Teacher, stages: Sequence[int] = ()
    ) -> None:
        super().__init__(network, teacher)
        cast("nn.Module", network.head).requires_grad_(False)
        size = network.preset.crop.template_size
        image = torch.zeros(1, 3, size, size, device=network.device)
        outputs = teacher.stages(image)
        with evaluation(network):
            own = [tuple(output.shape) for output in run_stages(network, image)]
        if own != [tuple(output.shape) for output in outputs]:
            raise ValueError(
                f"{network.preset.name}: its stages have other shapes than the teacher's"
            )
        errors = (ChannelError(output.shape[1]) for output in outputs)
        self.inner = nn.ModuleList(errors).to(network.device)
        self.stages = [*stages] or [*range(len(outputs))]
        if not all(0 <= index < len(outputs) for index in self.stages):
            raise ValueError(f"stages must be in 0..{len(outputs) - 1}, got {self.stages}")

    def freeze(self) -> None:
        """Freeze the other stages."""
        for index, stage in enumerate(backbone_stages(self.network)):
            stage.requires_grad_(index in self.stages)

    def measure(self, images: Tensor) -> None:
        """Measure the deviations of the channels of the teacher's stages on images."""
        for error, output in zip(self.inner, self._teacher[0].stages(images), strict=True):
            cast("ChannelError", error).measure(output)

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Compute the losses of crops (B, 3, h, w)."""
        targets = self._teacher[0].stages(crops, max(self.stages) + 1)
        inputs = [self.network.normalize(crops), *targets[:-1]]
        own = backbone_stages(self.network)
        errors = [self.inner[i](own[i](inputs[i]), targets[i]) for i in self.stages]
        total = torch.stack(errors).sum()
        return {"features": total / len(errors), "total": total}


@contextmanager
def evaluation(network: SiameseNetwork) -> Iterator[None]:
    """Run a network without gradients, and without a change of its norms' statistics."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)


def make_imitation(network: SiameseNetwork, teacher: Teacher) -> FeatureImitation:
    """Make the feature loss for the channels of student and teacher."""
    size = network.preset.crop.template_size
    image = torch.zeros(1, 3, size, size, device=network.device)
    own = _channels(network, image)
    return FeatureImitation(own, teacher.features(image).shape[1]).to(network.device)


def _channels(network: SiameseNetwork, image: Tensor) -> int:
    with evaluation(network):
        features: Any = network.features(image)
    if not isinstance(features, Tensor):
        raise ValueError(f"{network.preset.name}: features of several levels cannot be taught")
    return features.shape[1]
