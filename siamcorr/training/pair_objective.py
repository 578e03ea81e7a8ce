"""Objective for the whole network: pairs of crops, with ground truth and a teacher's output."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.heads.lite import LiteHead, LiteMaps
from siamcorr.layers.heads.lite_pixelwise import LitePixelwiseHead
from siamcorr.models import SiameseNetwork, for_inference
from siamcorr.training.cell_points import boxes_at, cell_points
from siamcorr.training.feature_objectives import Objective, evaluation, make_imitation
from siamcorr.training.imitation import FeatureImitation, ForcedImitation
from siamcorr.training.inner_maps import capture_outputs
from siamcorr.training.losses import anchor_free_losses, overlaps
from siamcorr.training.pairs import Pair
from siamcorr.training.teacher import Teacher, TeacherOutput

TRAINABLE_HEADS = (LiteHead, LitePixelwiseHead)  # heads that have losses
Layers = Mapping[str, Sequence[str]]  # modules of the head, each with modules of the teacher's head

MIN_AGREEMENT = 0.5  # the teacher has found the target if its best box has at least this IoU


class PairObjective(Objective):
    """The network learns the ground truth, and the teacher's output for the same pairs.

    Args:
        network: the student; its head has a method `maps`, like `LiteHead`.
        teacher: the teacher; None for the ground truth alone.
        marks: weight of the ground truth's loss.
        features: weight of the feature loss.
        maps: weight of the loss of the teacher's scores and boxes.
        always: use the teacher's maps in every pair except those with an absent target, not only
            in pairs in which the teacher finds the target.
        inner: weight of the loss of inner maps, for every pair except those with an absent target.
        layers: modules of the head, each with the modules of the teacher's head that it learns
            from.
        boxes: multiplies the box losses, of the ground truth and of the teacher.
        forced: replace the output of each of the layers by the teacher's. So each learns what the
            teacher does between two of them, all at once, as in `StageObjective`.

    Raises:
        ValueError: the head has no loss, or forced layers have other channels than the teacher's.
    """

    def __init__(
        self,
        network: SiameseNetwork,
        teacher: Teacher | None = None,
        marks: float = 1.0,
        features: float = 0.0,
        maps: float = 0.0,
        always: bool = False,
        inner: float = 0.0,
        layers: Layers = MappingProxyType({}),
        boxes: float = 1.0,
        forced: bool = False,
    ) -> None:
        super().__init__(network, teacher)
        if not isinstance(network.head, TRAINABLE_HEADS):
            names = " and ".join(kind.__name__ for kind in TRAINABLE_HEADS)
            raise ValueError(f"{network.preset.name}: its head cannot be trained, only {names}")
        self.marks, self.always, self.layers = marks, always, dict(layers)
        self.boxes, self.forced = boxes, forced
        self.weights = {"features": features, "maps": maps, "inner": inner}
        self._frozen: list[SiameseNetwork] = []
        if teacher and features:
            self.imitation = make_imitation(network, teacher)
        self.cells, self._shapes = map_shapes(network, layers)
        if teacher and layers:
            losses = make_inner_imitations(network, teacher, layers, self._shapes, forced)
            self.inner.extend(losses)
        self.columns: tuple[str, ...] = ("score", "box", "quality")
        if teacher:
            self.columns += ("features",) * bool(features) + ("taught",) * bool(maps)
            self.columns += ("inner",) * bool(layers)

    def freeze(self) -> None:
        """If the backbone is not trained now, run a fused copy of it."""
        learns = any(p.requires_grad for p in self.network.backbone.parameters())
        self._frozen = [] if learns else [for_inference(self.network)]

    def measure_inner(self, pairs: Pair) -> None:
        """Measure mean and deviation of the teacher's inner maps on pairs."""
        for teacher in self._teacher:
            output = run_teacher(teacher, self.layers, pairs.search, pairs.template, 1).inner
            for name, loss in zip(self.layers, self.inner, strict=True):
                cast("FeatureImitation", loss).measure(output[name])

    def forward(self, pair: Pair) -> dict[str, Tensor]:
        """Compute the losses of a batch of pairs."""
        preset, head = self.network.preset, self.network.head
        assert isinstance(head, TRAINABLE_HEADS)
        with torch.set_grad_enabled(not self._frozen):
            backbone = self._frozen[0] if self._frozen else self.network
            template, search = (backbone.features(image) for image in (pair.template, pair.search))
        output = self._ask(pair)
        forced = self._forced_outputs(output)
        with capture_outputs(head, [*self.layers], forced) as inner:
            maps = head.maps(search, head.template(template))
        stride, size = preset.recipe.stride, preset.crop.search_size
        marked = anchor_free_losses(maps, pair.box, pair.present, pair.marked, stride, size)
        losses = marked._asdict()
        total = self.marks * marked.total(self.boxes)
        if output is None:
            return losses | {"total": total}
        absent = pair.marked * (1 - pair.present)  # a teacher may see a target there
        if self.imitation is not None:
            sides = (template, output.template), (search, output.search)
            losses["features"] = sum(self.imitation(*side) for side in sides) / 2
            total = total + self.weights["features"] * losses["features"]
        if self.weights["maps"]:
            pair_weight = 1 - absent if self.always else teacher_agrees(output, pair)
            losses["taught"] = teacher_loss(maps, output, pair_weight, stride, size, self.boxes)
            total = total + self.weights["maps"] * losses["taught"]
        if self.layers:
            errors = [
                loss(inner[name], output.inner[name], 1 - absent)
                for name, loss in zip(self.layers, self.inner, strict=True)
            ]
            losses["inner"] = torch.stack(errors).mean()
            total = total + self.weights["inner"] * losses["inner"]
        return losses | {"total": total}

    def _ask(self, pair: Pair) -> TeacherOutput | None:
        """The teacher's output for pairs; its inner maps at the student's cells."""
        for teacher in self._teacher:
            output = run_teacher(teacher, self.layers, pair.search, pair.template, self.cells)
            inner = {
                name: teacher.at_cells(maps, self._shapes[name][-1])
                for name, maps in output.inner.items()
            }
            return output._replace(inner=inner)
        return None

    def _forced_outputs(self, output: TeacherOutput | None) -> dict[str, Tensor]:
        if output is None or not self.forced:
            return {}
        return {
            name: cast("ForcedImitation", loss).target(output.inner[name])
            for name, loss in zip(self.layers, self.inner, strict=True)
        }


def run_teacher(
    teacher: Teacher, layers: Layers, search: Tensor, template: Tensor, cells: int
) -> TeacherOutput:
    """Run the teacher on pairs; its inner maps are concatenated under the student's names."""
    names = [name for several in layers.values() for name in several]
    output = teacher.pair(search, template, cells, names)
    inner = {
        own: torch.cat([output.inner[name] for name in several], dim=1)
        for own, several in layers.items()
    }
    return output._replace(inner=inner)


def teacher_agrees(output: TeacherOutput, pair: Pair) -> Tensor:
    """Return 1 for pairs with a target that the teacher finds, else 0: (B,)."""
    best = output.score.flatten(1).argmax(dim=1)
    chosen = output.boxes.flatten(2).gather(2, best[:, None, None].expand(-1, 4, 1))[:, :, 0]
    return ((overlaps(chosen, pair.box)[0] > MIN_AGREEMENT) & (pair.present > 0)).float()


def teacher_loss(
    maps: LiteMaps,
    output: TeacherOutput,
    pair_weight: Tensor,
    stride: int,
    size: int,
    boxes: float = 1.0,
) -> Tensor:
    """Compute the loss of the teacher's scores, and of its boxes weighted by these scores.

    The student's quality learns the IoU with the teacher's boxes, with the same weights.

    Args:
        maps: maps from `LiteHead.maps`.
        output: the teacher's output from `Teacher.pair`.
        pair_weight: (B,) the weight of each pair.
        stride: pixels between cells.
        size: side of the search crop in pixels.
        boxes: multiplies the loss of the boxes.

    Reference:
        Li et al., Generalized Focal Loss, 2020, arXiv:2006.04388, for the score.
    """
    points = cell_points(maps.logits.shape[-1], stride, size).to(output.boxes)
    weight = pair_weight[:, None, None]
    logits, target = maps.logits[:, 0].float(), output.score
    error = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    focal = (target - logits.sigmoid()).square() * error * weight
    cell_weight = target * weight
    count = cell_weight.sum().clamp(min=1)
    own = boxes_at(points, maps.boxes.float()).permute(0, 2, 3, 1).reshape(-1, 4)
    theirs = output.boxes.permute(0, 2, 3, 1).reshape(-1, 4)
    iou, giou = overlaps(own, theirs)
    quality = F.binary_cross_entropy_with_logits(
        maps.quality.float().flatten(), iou.detach(), reduction="none"
    )
    box_loss = (boxes * (1 - giou) + quality / 2) * cell_weight.flatten()
    return focal.sum() / count + box_loss.sum() / count


def map_shapes(
    network: SiameseNetwork, layers: Iterable[str]
) -> tuple[int, dict[str, tuple[int, ...]]]:
    """Return the cells per side of the network's maps, and the shapes of modules of its head.

    Raises:
        ValueError: the head has no such module.
    """
    template, search = blank_pair(network)
    try:
        with (
            evaluation(network),
            capture_outputs(cast("nn.Module", network.head), [*layers]) as own,
        ):
            logits = network(search, template).logits
    except AttributeError as error:
        raise ValueError(f"layers: {error}") from None
    return logits.shape[-1], {name: tuple(own[name].shape) for name in layers}


def make_inner_imitations(
    network: SiameseNetwork,
    teacher: Teacher,
    layers: Layers,
    shapes: Mapping[str, tuple[int, ...]],
    forced: bool,
) -> list[FeatureImitation | ForcedImitation]:
    """Make a loss for each of these modules of the head, whose shapes `map_shapes` gives.

    Raises:
        ValueError: the teacher's head has no such module, or forced modules have other channels.
    """
    template, search = blank_pair(network)
    try:
        output = run_teacher(teacher, layers, search, template, 1).inner
    except AttributeError as error:
        raise ValueError(f"layers: {error}") from None
    losses: list[FeatureImitation | ForcedImitation] = []
    for name, shape in shapes.items():
        channels = shape[1], output[name].shape[1]
        if forced and channels[0] != channels[1]:
            text = f"{channels[0]} channels, the teacher's {channels[1]}"
            raise ValueError(f"layers: forced maps must be alike, but {name} has {text}")
        losses.append(ForcedImitation(channels[0]) if forced else FeatureImitation(*channels))
    return [loss.to(network.device) for loss in losses]


def blank_pair(network: SiameseNetwork) -> tuple[Tensor, Tensor]:
    """Black crops of the template and of the search, (1, 3, h, w), to see the shapes of maps."""
    crop = network.preset.crop
    sizes = crop.template_size, crop.search_size
    template, search = (torch.zeros(1, 3, size, size, device=network.device) for size in sizes)
    return template, search
