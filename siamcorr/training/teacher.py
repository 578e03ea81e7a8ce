"""A published network as a teacher: its features, its score map and its boxes, for the same crops.

The student learns from a teacher what marks alone cannot tell it: how any crop looks to a network
that has seen millions of marked frames, and how sure one can be of each cell.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.models import (
    Preset,
    SiameseNetwork,
    assemble,
    find_weights,
    for_inference,
    load_preset,
)
from siamcorr.models.build import load_weights
from siamcorr.models.checkpoints import read_checkpoint
from siamcorr.models.recipe import AnchorConfig
from siamcorr.training.config import TeacherConfig
from siamcorr.training.inner_maps import outputs_of
from siamcorr.training.points import boxes_at, cell_points, sample_cells


class TaughtPair(NamedTuple):
    """What the teacher says of pairs; its maps at the cells of the student.

    template: features (B, C, h, w) of the templates. search: (B, C, H, W) of the search crops.
    score: (B, S, S), 0..1.
    boxes: (B, 4, S, S) left, top, right, bottom in pixels of the search crop.
    inner: maps (B, C, S, S) of modules of its head, by their names.
    """

    template: Tensor
    search: Tensor
    score: Tensor
    boxes: Tensor
    inner: Mapping[str, Tensor] = MappingProxyType({})


class Teacher:
    """A trained network that is only asked, never changed.

    Args:
        network: with its weights.
        student: preset of the network that learns; crops are in its colour order.

    Raises:
        ValueError: the teacher looks at other crops than the student.
    """

    def __init__(self, network: SiameseNetwork, student: Preset) -> None:
        theirs, own = network.preset.crop, student.crop
        for name in ("template_size", "search_size", "context", "keep_ratio"):
            a, b = getattr(theirs, name), getattr(own, name)
            if a != b:
                raise ValueError(
                    f"{network.preset.name} cannot teach {student.name}: its {name} is {a}, not {b}"
                )
        if network.preset.recipe.kind not in ("points", "anchors"):
            raise ValueError(f"{network.preset.name} cannot teach: it predicts no boxes")
        self.network = network.eval().requires_grad_(False)
        self.swap_colors = theirs.color != own.color
        self.student = student

    def to(self, device: torch.device) -> "Teacher":
        """Move the network to a device."""
        self.network.to(device)
        return self

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features of images (B, 3, H, W) as the student sees them: (B, C, h, w).

        Levels of several are put together along the channels, at the size of the first.
        """
        return self._join(self.network.features(self._colors(images)))

    @torch.no_grad()
    def pair(
        self, search: Tensor, template: Tensor, cells: int, layers: Sequence[str] = ()
    ) -> TaughtPair:
        """Features, scores and boxes for pairs, at the student's `cells` x `cells`.

        Cells where the teacher has none count as background.

        Args:
            search: (B, 3, H, W), in the student's colour order.
            template: (B, 3, h, w), likewise.
            cells: of the student's maps.
            layers: modules of its head whose maps are wanted, too.
        """
        network, crop = self.network, self.network.preset.network.template_crop or None
        looked = network.features(self._colors(search))
        whole = network.features(self._colors(template))
        shown = whole if crop is None else network.features(self._colors(template), crop)
        with outputs_of(cast("nn.Module", network.head), layers) as inner:
            prediction = network.head(looked, network.head.template(shown))
        recipe, size = network.preset.recipe, self.student.crop.search_size
        points = cell_points(prediction.logits.shape[-1], recipe.stride, size).to(search)
        if recipe.kind == "anchors":
            score, boxes = _best_anchors(
                prediction.logits, prediction.boxes, points, recipe.anchors
            )
        else:
            score = _target_score(prediction.logits, 1)[:, 0]
            boxes = boxes_at(points, prediction.boxes)
        own = cell_points(cells, self.student.recipe.stride, size).to(search)
        together = torch.cat([score[:, None], boxes], dim=1).float()
        sampled, inside = sample_cells(together, points, own)
        score, boxes = sampled[:, 0] * inside, sampled[:, 1:]
        return TaughtPair(self._join(whole), self._join(looked), score, boxes, inner)

    def _colors(self, images: Tensor) -> Tensor:
        return images.flip(1) if self.swap_colors else images

    @staticmethod
    def _join(features: Tensor | tuple[Tensor, ...]) -> Tensor:
        if isinstance(features, Tensor):
            return features
        size = features[0].shape[-2:]
        return torch.cat(
            [
                level if level.shape[-2:] == size else F.interpolate(level, size, mode="bilinear")
                for level in features
            ],
            dim=1,
        )


def load_teacher(config: TeacherConfig, student: Preset) -> Teacher:
    """The teacher that a run's file names.

    Raises:
        OSError: its weights cannot be read, or are not on this machine.
        ValueError: no such preset, weights of another network, or other crops than the student's.
    """
    preset = load_preset(config.model)
    network = assemble(preset)
    weights = config.weights or find_weights(preset)
    load_weights(network, read_checkpoint(weights))
    return Teacher(for_inference(network.eval()), student)


class FeatureImitation(nn.Module):
    """How far the student's features are from the teacher's, channel by channel.

    The teacher's channels are normalised by their own mean and deviation, so that each counts
    alike; the student's pass a 1x1 convolution, which is thrown away after training. A student
    with as many channels begins with it as the identity.

    Args:
        channels: of the student.
        teacher_channels: of the teacher.

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
        """Take mean and deviation of the teacher's channels from features (B, T, h, w)."""
        self.mean.copy_(features.mean(dim=(0, 2, 3))[:, None, None])
        self.deviation.copy_(features.std(dim=(0, 2, 3)).clamp(min=1e-6)[:, None, None])

    def forward(self, features: Tensor, taught: Tensor) -> Tensor:
        """Mean squared error, in the teacher's deviations."""
        wanted = (taught.float() - self.mean) / self.deviation
        own = self.adapter(features).float()
        if own.shape[-2:] != wanted.shape[-2:]:  # another stride
            wanted = F.interpolate(wanted, own.shape[-2:], mode="bilinear", align_corners=False)
        return F.mse_loss(own, wanted)


def _target_score(logits: Tensor, anchors: int) -> Tensor:
    """Probability of target (B, k, S, S) of logits (B, 2k, S, S) or (B, k, S, S)."""
    planes = logits.reshape(len(logits), -1, anchors, *logits.shape[2:])
    score: Tensor = planes.softmax(dim=1)[:, 1] if planes.shape[1] == 2 else planes[:, 0].sigmoid()
    return score


def _best_anchors(
    logits: Tensor, offsets: Tensor, points: Tensor, config: AnchorConfig
) -> tuple[Tensor, Tensor]:
    """The surest anchor of each cell: score (B, S, S), box (B, 4, S, S)."""
    from siamcorr.tracking.decoding import anchor_sizes

    sizes = torch.tensor(anchor_sizes(config)).to(offsets)[None, :, :, None, None]  # (1, 2, k, …)
    score, best = _target_score(logits, sizes.shape[2]).max(dim=1)
    shifts = offsets.reshape(len(offsets), 4, -1, *offsets.shape[2:])  # (B, 4, k, S, S)
    centers = points[None, :, None] + shifts[:, :2] * sizes
    half = sizes * shifts[:, 2:].clamp(-10, 10).exp() / 2
    boxes = torch.cat([centers - half, centers + half], dim=1)
    index = best[:, None, None].expand(-1, 4, 1, -1, -1)
    return score, boxes.gather(2, index)[:, :, 0]
