"""Make the objective of a run, and measure the teacher's statistics that it needs."""

import torch
from torch import Tensor

from siamcorr.models import SiameseNetwork
from siamcorr.training.config import TrainConfig
from siamcorr.training.crops import CropDataset
from siamcorr.training.feature_objectives import FeatureObjective, Objective, StageObjective
from siamcorr.training.pair_objective import PairObjective
from siamcorr.training.pairs import Pair, PairDataset, collate
from siamcorr.training.teacher import load_teacher

MEASURE_PICTURES = 256  # pictures for the statistics of the channels of the teacher's features
MEASURE_PAIRS = 64  # pairs for those of its inner maps


def make_objective(network: SiameseNetwork, config: TrainConfig) -> Objective:
    """Make the objective of a configuration.

    Raises:
        OSError: the teacher's weights cannot be read.
        ValueError: the teacher cannot teach this network, or the network's head has no loss.
    """
    if config.teacher is None:
        return PairObjective(network, boxes=config.boxes)
    stages = config.learns == "stages"
    teacher = load_teacher(config.teacher, network.preset, not stages).to(network.device)
    if stages:
        return StageObjective(network, teacher, config.stages)
    if config.learns == "features":
        return FeatureObjective(network, teacher)
    shares = config.teacher
    weights = config.marks, shares.features, shares.maps
    others = shares.always, shares.inner, shares.layers
    return PairObjective(network, teacher, *weights, *others, config.boxes, shares.forced)


def measure_features(objective: Objective, dataset: PairDataset | CropDataset) -> None:
    """Measure the statistics of the teacher's features on the first items of the dataset."""
    if objective.imitation is None and not isinstance(objective, StageObjective):
        return
    some = [dataset[index] for index in range(MEASURE_PICTURES)]
    images = torch.stack([item if isinstance(item, Tensor) else item.template for item in some])
    objective.measure(images.to(objective.network.device).float())


def measure_inner(objective: Objective, dataset: PairDataset | CropDataset) -> None:
    """Measure the statistics of the teacher's inner maps on the first pairs of the dataset."""
    if isinstance(objective, PairObjective) and objective.layers:
        assert isinstance(dataset, PairDataset)
        pairs = collate([dataset[index] for index in range(MEASURE_PAIRS)])
        objective.measure_inner(
            Pair(*(part.to(objective.network.device).float() for part in pairs))
        )
