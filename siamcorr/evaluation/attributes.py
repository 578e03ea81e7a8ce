"""Scores by attribute: how good a tracker is where the target is occluded, turns, is far away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from siamcorr.data.datasets.sequences import Sequence as Clip
from siamcorr.evaluation.box_errors import Array
from siamcorr.evaluation.metrics import success_curve


@dataclass(frozen=True)
class AttributeScore:
    """Success AUC where an attribute holds, and of how many "frames" or "sequences"."""

    success: float
    count: int
    unit: str


def attribute_scores(
    overlaps: Mapping[str, Array], sequences: Sequence[Clip]
) -> dict[str, AttributeScore]:
    """Scores of one tracker by attribute.

    An attribute of frames is scored over all the frames that have it, of all sequences together,
    as VOT does; one that is said of whole sequences alone by the mean over those that have it, as
    OTB, LaSOT and UAV123 do. Attributes that no frame with a truth has are left out: those of
    frames where the target is absent, above all.

    Args:
        overlaps: of each frame by sequence, NaN where the truth is unknown; sequences that are
            not among them are passed over.
        sequences: with their attributes.
    """
    frames: dict[str, list[Array]] = {}
    whole: dict[str, list[Array]] = {}
    for sequence in sequences:
        if sequence.name not in overlaps:
            continue
        found = overlaps[sequence.name]
        for name, flags in sequence.attributes.items():
            held = np.broadcast_to(np.array(flags, dtype=bool), found.shape)
            values = found[held & ~np.isnan(found)]
            if len(values):
                (whole if len(flags) == 1 else frames).setdefault(name, []).append(values)
    scores = {}
    for name in sorted({*frames, *whole}):
        if name in frames:
            values = np.concatenate([*frames[name], *whole.get(name, ())])
            scores[name] = AttributeScore(_success(values), len(values), "frames")
        else:
            mean = float(np.mean([_success(values) for values in whole[name]]))
            scores[name] = AttributeScore(mean, len(whole[name]), "sequences")
    return scores


def _success(values: Array) -> float:
    return float(success_curve(values).mean())
