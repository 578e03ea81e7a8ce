"""A published network as the teacher: its features, scores and boxes for the student's crops.

A teacher gives more than the ground truth: features of a network that was trained on millions of
labelled frames, and a soft score for each cell.
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
from siamcorr.training.cell_points import boxes_at, cell_points, sample_cells
from siamcorr.training.config import TeacherConfig
from siamcorr.training.inner_maps import capture_outputs


class TeacherOutput(NamedTuple):
    """The teacher's output for pairs; score and boxes are at the student's cells.

    template, search: features (B, C, h, w) of the templates and (B, C, H, W) of the search crops.
    score: (B, S, S), 0..1.
    boxes: (B, 4, S, S) left, top, right, bottom in pixels of the search crop.
    inner: maps (B, C, T, T) of modules of the teacher's head, at its own cells, by name.
    """

    template: Tensor
    search: Tensor
    score: Tensor
    boxes: Tensor
    inner: Mapping[str, Tensor] = MappingProxyType({})


class Teacher:
    """A trained network with fixed weights.

    Args:
        network: the teacher's network with its weights.
        student: preset of the student; crops are in its colour order.

    Raises:
        ValueError: the crops of teacher and student differ, or the teacher predicts no boxes.
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
        """Return the features (B, C, h, w) of images (B, 3, H, W) in the student's colour order.

        Several levels are resized to the first one and concatenated along the channels.
        """
        return self._join(self.network.features(self._colors(images)))

    @torch.no_grad()
    def stages(self, images: Tensor, count: int | None = None) -> list[Tensor]:
        """Return the outputs of the backbone's first stages, for images as `features` takes them.

        Args:
            images: (B, 3, H, W).
            count: number of stages; default: all.

        Raises:
            ValueError: the backbone has no stages.
        """
        return run_stages(self.network, self._colors(images), count)

    @torch.no_grad()
    def pair(
        self, search: Tensor, template: Tensor, cells: int, layers: Sequence[str] = ()
    ) -> TeacherOutput:
        """Return features, scores and boxes for pairs, at the student's `cells` x `cells`.

        Cells outside the teacher's maps are background.

        Args:
            search: (B, 3, H, W), in the student's colour order.
            template: (B, 3, h, w), likewise.
            cells: cells per side of the student's maps.
            layers: modules of the teacher's head whose outputs are returned as `inner`.
        """
        network, crop = self.network, self.network.preset.network.template_crop or None
        search_features = network.features(self._colors(search))
        whole = network.features(self._colors(template))
        center = whole if crop is None else network.features(self._colors(template), crop)
        with capture_outputs(cast("nn.Module", network.head), layers) as inner:
            prediction = network.head(search_features, network.head.template(center))
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
        maps = torch.cat([score[:, None], boxes], dim=1).float()
        sampled, inside = sample_cells(maps, points, own)
        score, boxes = sampled[:, 0] * inside, sampled[:, 1:]
        return TeacherOutput(self._join(whole), self._join(search_features), score, boxes, inner)

    def at_cells(self, maps: Tensor, cells: int) -> Tensor:
        """Sample inner maps (B, C, T, T) at the student's `cells` x `cells`: (B, C, S, S)."""
        size = self.student.crop.search_size
        points = cell_points(maps.shape[-1], self.network.preset.recipe.stride, size)
        own = cell_points(cells, self.student.recipe.stride, size)
        if torch.equal(points, own):
            return maps
        return sample_cells(maps, points.to(maps), own.to(maps))[0]

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


def backbone_stages(network: SiameseNetwork) -> list[nn.Module]:
    """Return the stages of a backbone that is one sequence, `backbone.features`.

    Raises:
        ValueError: the backbone is no such sequence.
    """
    features = getattr(network.backbone, "features", None)
    if not isinstance(features, nn.Sequential):
        raise ValueError(f"{network.preset.name}: its backbone is not a sequence of stages")
    return [*features]


def run_stages(network: SiameseNetwork, image: Tensor, count: int | None = None) -> list[Tensor]:
    """Return the outputs of the first `count` stages, or of all, for images (B, 3, H, W)."""
    outputs, features = [], network.normalize(image)
    for stage in backbone_stages(network)[:count]:
        features = stage(features)
        outputs.append(features)
    return outputs


def load_teacher(config: TeacherConfig, student: Preset, optimize: bool = True) -> Teacher:
    """Load the teacher of a configuration; an optimized one is faster but has no `stages`.

    Raises:
        OSError: its weights are missing or cannot be read.
        ValueError: the preset is unknown, the weights are of another network, or the crops of
            teacher and student differ.
    """
    preset = load_preset(config.model)
    network = assemble(preset)
    weights = config.weights or find_weights(preset)
    load_weights(network, read_checkpoint(weights))
    return Teacher(for_inference(network) if optimize else network, student)


def _target_score(logits: Tensor, anchors: int) -> Tensor:
    """Convert logits (B, 2k, S, S) or (B, k, S, S) to probabilities of the target (B, k, S, S)."""
    planes = logits.reshape(len(logits), -1, anchors, *logits.shape[2:])
    score: Tensor = planes.softmax(dim=1)[:, 1] if planes.shape[1] == 2 else planes[:, 0].sigmoid()
    return score


def _best_anchors(
    logits: Tensor, offsets: Tensor, points: Tensor, config: AnchorConfig
) -> tuple[Tensor, Tensor]:
    """Return the score (B, S, S) and the box (B, 4, S, S) of each cell's best anchor."""
    from siamcorr.tracking.decoding import anchor_sizes

    sizes = torch.tensor(anchor_sizes(config)).to(offsets)[None, :, :, None, None]  # (1, 2, k, …)
    score, best = _target_score(logits, sizes.shape[2]).max(dim=1)
    shifts = offsets.reshape(len(offsets), 4, -1, *offsets.shape[2:])  # (B, 4, k, S, S)
    centers = points[None, :, None] + shifts[:, :2] * sizes
    half = sizes * shifts[:, 2:].clamp(-10, 10).exp() / 2
    boxes = torch.cat([centers - half, centers + half], dim=1)
    index = best[:, None, None].expand(-1, 4, 1, -1, -1)
    return score, boxes.gather(2, index)[:, :, 0]
