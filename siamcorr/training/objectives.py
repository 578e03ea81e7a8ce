"""What a step minimises: a module from a batch to named losses, `total` among them.

Network and losses are one module, so that many processes can share its gradients.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.heads.lite import LiteHead, LiteMaps
from siamcorr.layers.heads.lite_twofold import LiteTwofoldHead
from siamcorr.models import SiameseNetwork, for_inference
from siamcorr.training.config import TrainConfig
from siamcorr.training.crops import CropDataset
from siamcorr.training.inner_maps import outputs_of
from siamcorr.training.losses import anchor_free_losses, overlaps
from siamcorr.training.pairs import Pair, PairDataset, collate
from siamcorr.training.points import boxes_at, cell_points
from siamcorr.training.teacher import FeatureImitation, TaughtPair, Teacher, load_teacher

LEARNING = (LiteHead, LiteTwofoldHead)  # heads that there are losses for
MEASURED = 256  # pictures for the mean and the deviation of the teacher's channels
MEASURED_PAIRS = 64  # and for those of its inner maps
Layers = Mapping[str, Sequence[str]]  # modules of the head, and of the teacher's for each

AGREES = 0.5  # IoU with the mark from which the teacher's best box is believed


class Objective(nn.Module):
    """What both have: the network, a teacher that is no part of it, and the imitation."""

    def __init__(self, network: SiameseNetwork, teacher: Teacher | None) -> None:
        super().__init__()
        self.network = network
        self._teacher = [teacher] if teacher else []  # in a list, so that it is no submodule
        self.imitation: FeatureImitation | None = None
        self.inner = nn.ModuleList()  # imitations of inner maps

    def measure(self, images: Tensor) -> None:
        """Take the teacher's statistics from images (B, 3, h, w), if its features are learnt."""
        for teacher in self._teacher:
            if self.imitation is not None:
                self.imitation.measure(teacher.features(images))


class FeatureObjective(Objective):
    """The backbone learns the teacher's features of any crop; the head waits.

    Args:
        network: that learns.
        teacher: that is asked.
    """

    columns = ("features",)

    def __init__(self, network: SiameseNetwork, teacher: Teacher) -> None:
        super().__init__(network, teacher)
        cast("nn.Module", network.head).requires_grad_(False)
        self.imitation = imitation(network, teacher)

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Crops (B, 3, h, w) to the loss."""
        taught = self._teacher[0].features(crops)
        assert self.imitation is not None
        loss = self.imitation(self.network.features(crops), taught)
        return {"features": loss, "total": loss}


class PairObjective(Objective):
    """Marks, and what a teacher says of the same pairs.

    Args:
        network: that learns; its head has `maps`, as `LiteHead` has.
        teacher: None where marks alone teach.
        marks: weight of the losses of marked boxes.
        features: weight of the error of the features.
        maps: weight of the teacher's scores and boxes.
        always: they count wherever no mark says that the target is absent, not only where the
            teacher finds what is marked.
        inner: weight of the error of the maps of `layers`, in every pair.
        layers: modules of the head, and the modules of the teacher's head that each learns from.

    Raises:
        ValueError: there are no losses for the head.
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
    ) -> None:
        super().__init__(network, teacher)
        if not isinstance(network.head, LEARNING):
            names = " and ".join(kind.__name__ for kind in LEARNING)
            raise ValueError(f"{network.preset.name}: its head is not trained, only {names} are")
        self.marks, self.always, self.layers = marks, always, dict(layers)
        self.weights = {"features": features, "maps": maps, "inner": inner}
        self._frozen: list[SiameseNetwork] = []
        if teacher and features:
            self.imitation = imitation(network, teacher)
        self.inner = nn.ModuleList(inner_imitations(network, teacher, layers) if teacher else [])
        self.columns: tuple[str, ...] = ("score", "box", "quality")
        if teacher:
            self.columns += ("features",) * bool(features) + ("taught",) * bool(maps)
            self.columns += ("inner",) * bool(layers)

    def freeze(self) -> None:
        """The backbone does not learn now: run a fused copy of it instead."""
        learns = any(p.requires_grad for p in self.network.backbone.parameters())
        self._frozen = [] if learns else [for_inference(self.network)]

    def _inner_error(self, own: Mapping[str, Tensor], taught: Mapping[str, Tensor]) -> Tensor:
        errors = [
            loss(own[name], taught[name])
            for name, loss in zip(self.layers, self.inner, strict=True)
        ]
        return torch.stack(errors).mean()

    def measure_inner(self, pairs: Pair) -> None:
        """Take the mean and deviation of the teacher's inner maps from pairs."""
        for teacher in self._teacher:
            taught = ask(teacher, self.layers, pairs.search, pairs.template, 1).inner
            for name, loss in zip(self.layers, self.inner, strict=True):
                cast("FeatureImitation", loss).measure(taught[name])

    def forward(self, pair: Pair) -> dict[str, Tensor]:
        """The losses of a batch of pairs."""
        preset, head = self.network.preset, self.network.head
        assert isinstance(head, LEARNING)
        with torch.set_grad_enabled(not self._frozen):
            backbone = self._frozen[0] if self._frozen else self.network
            template, search = (backbone.features(image) for image in (pair.template, pair.search))
        with outputs_of(head, [*self.layers]) as inner:
            maps = head.maps(search, head.template(template))
        stride, size = preset.recipe.stride, preset.crop.search_size
        marked = anchor_free_losses(maps, pair.box, pair.present, pair.marked, stride, size)
        losses = marked._asdict()
        total = self.marks * marked.total
        for teacher in self._teacher:
            cells = maps.logits.shape[-1]
            taught = ask(teacher, self.layers, pair.search, pair.template, cells)
            if self.imitation is not None:
                sides = (template, taught.template), (search, taught.search)
                losses["features"] = sum(self.imitation(*side) for side in sides) / 2
                total = total + self.weights["features"] * losses["features"]
            if self.weights["maps"]:
                absent = pair.marked * (1 - pair.present)
                believed = 1 - absent if self.always else agrees(taught, pair)
                losses["taught"] = taught_losses(maps, taught, believed, stride, size)
                total = total + self.weights["maps"] * losses["taught"]
            if self.layers:
                losses["inner"] = self._inner_error(inner, taught.inner)
                total = total + self.weights["inner"] * losses["inner"]
        return losses | {"total": total}


def ask(
    teacher: Teacher, layers: Layers, search: Tensor, template: Tensor, cells: int
) -> TaughtPair:
    """What the teacher says of pairs; its inner maps put together under the student's names."""
    names = [name for several in layers.values() for name in several]
    taught = teacher.pair(search, template, cells, names)
    inner = {
        own: torch.cat([taught.inner[name] for name in several], dim=1)
        for own, several in layers.items()
    }
    return taught._replace(inner=inner)


def agrees(taught: TaughtPair, pair: Pair) -> Tensor:
    """Which pairs' targets are there, and are what the teacher finds: (B,) of 1 and 0."""
    best = taught.score.flatten(1).argmax(dim=1)
    chosen = taught.boxes.flatten(2).gather(2, best[:, None, None].expand(-1, 4, 1))[:, :, 0]
    return ((overlaps(chosen, pair.box)[0] > AGREES) & (pair.present > 0)).float()


def taught_losses(
    maps: LiteMaps, taught: TaughtPair, believed: Tensor, stride: int, size: int
) -> Tensor:
    """The teacher's scores as soft targets; its boxes, and how well they are met, where it is sure.

    Args:
        maps: from `LiteHead.maps`.
        taught: from `Teacher.pair`.
        believed: (B,) the weight of each pair.
        stride: pixels from cell to cell.
        size: of the search crop.

    Reference:
        Li et al., Generalized Focal Loss, 2020, arXiv:2006.04388, for the score.
    """
    points = cell_points(maps.logits.shape[-1], stride, size).to(taught.boxes)
    weight = believed[:, None, None]
    logits, wanted = maps.logits[:, 0].float(), taught.score
    error = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    focused = (wanted - logits.sigmoid()).square() * error * weight
    sure = wanted * weight
    count = sure.sum().clamp(min=1)
    own = boxes_at(points, maps.boxes.float()).permute(0, 2, 3, 1).reshape(-1, 4)
    theirs = taught.boxes.permute(0, 2, 3, 1).reshape(-1, 4)
    iou, giou = overlaps(own, theirs)
    quality = F.binary_cross_entropy_with_logits(
        maps.quality.float().flatten(), iou.detach(), reduction="none"
    )
    met = (1 - giou + quality / 2) * sure.flatten()
    return focused.sum() / count + met.sum() / count


def imitation(network: SiameseNetwork, teacher: Teacher) -> FeatureImitation:
    """A loss of features for these two, by the number of their channels."""
    size = network.preset.crop.template_size
    image = torch.zeros(1, 3, size, size, device=network.device)
    own = _channels(network, image)
    return FeatureImitation(own, teacher.features(image).shape[1]).to(network.device)


@torch.no_grad()
def inner_imitations(
    network: SiameseNetwork, teacher: Teacher, layers: Layers
) -> list[FeatureImitation]:
    """A loss for each of these modules of the head, by the number of their channels.

    Raises:
        ValueError: a head has no such module.
    """
    if not layers:
        return []
    head, size = cast("nn.Module", network.head), network.preset.crop
    template, search = (
        torch.zeros(1, 3, side, side, device=network.device)
        for side in (size.template_size, size.search_size)
    )
    training = network.training
    try:
        with outputs_of(head, [*layers]) as own:
            network.eval()(search, template)
        taught = ask(teacher, layers, search, template, 1).inner
    except AttributeError as error:
        raise ValueError(f"layers: {error}") from None
    finally:
        network.train(training)
    return [
        FeatureImitation(own[name].shape[1], taught[name].shape[1]).to(network.device)
        for name in layers
    ]


def _channels(network: SiameseNetwork, image: Tensor) -> int:
    training = network.training
    with torch.no_grad():
        features: Any = network.eval().features(image)
    network.train(training)
    if not isinstance(features, Tensor):
        raise ValueError(f"{network.preset.name}: has several levels, and one is taught")
    return features.shape[1]


def make_objective(
    network: SiameseNetwork, config: TrainConfig
) -> FeatureObjective | PairObjective:
    """What a run's file asks for.

    Raises:
        OSError: the teacher's weights cannot be read.
        ValueError: the teacher cannot teach this network, or there are no losses for its head.
    """
    if config.teacher is None:
        return PairObjective(network)
    teacher = load_teacher(config.teacher, network.preset).to(network.device)
    if config.learns == "features":
        return FeatureObjective(network, teacher)
    shares = config.teacher
    weights = config.marks, shares.features, shares.maps
    return PairObjective(network, teacher, *weights, shares.always, shares.inner, shares.layers)


def measure_features(
    objective: FeatureObjective | PairObjective, dataset: PairDataset | CropDataset
) -> None:
    """Take the teacher's statistics from the first pictures of the data, the same every time."""
    if objective.imitation is None:
        return
    some = [dataset[index] for index in range(MEASURED)]
    images = torch.stack([item if isinstance(item, Tensor) else item.template for item in some])
    objective.measure(images.to(objective.network.device).float())


def measure_inner(
    objective: FeatureObjective | PairObjective, dataset: PairDataset | CropDataset
) -> None:
    """Take the statistics of the teacher's inner maps from the first pairs, likewise."""
    if isinstance(objective, PairObjective) and objective.layers:
        assert isinstance(dataset, PairDataset)
        pairs = collate([dataset[index] for index in range(MEASURED_PAIRS)])
        objective.measure_inner(
            Pair(*(part.to(objective.network.device).float() for part in pairs))
        )
