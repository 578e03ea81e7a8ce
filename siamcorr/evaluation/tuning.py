"""Tuning: find the constants of a recipe with which a network tracks some sequences best.

The network does not change. A trial sets other constants and tracks all sequences; it is pruned
when its mean so far is worse than the median of the other trials.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siamcorr.data.datasets.sequences import Sequence as Frames
from siamcorr.evaluation.box_errors import overlaps
from siamcorr.evaluation.run import start_box
from siamcorr.models import Network, Preset
from siamcorr.tracking import Tracker

if TYPE_CHECKING:
    import optuna

# Tuned constants and their ranges, by kind of recipe.
BOXES = {
    "recipe.penalty": (0.0, 0.5),
    "recipe.window": (0.05, 0.7),
    "recipe.learning_rate": (0.05, 0.95),
    "crop.context": (0.3, 0.8),
}
RANGES = {
    "points": BOXES,
    "anchors": BOXES,
    "scales": {
        "recipe.window": (0.05, 0.5),
        "recipe.learning_rate": (0.05, 0.95),
        "recipe.scales.step": (1.01, 1.1),
        "recipe.scales.penalty": (0.9, 1.0),
        "crop.context": (0.3, 0.8),
    },
    "filter": {"recipe.update_rate": (0.001, 0.1), "recipe.window": (0.0, 0.5)},
}
ON_TARGET = 0.5  # IoU from which a frame counts as on target
SCORES = ("recipe.lost_below", "recipe.found_above")
RARE, SELDOM = 0.001, 0.02  # shares of on-target frames that score below lost_below, found_above


class Pass(NamedTuple):
    """Result of tracking a sequence, without the first frame and frames without a true box.

    overlaps: (N,) IoU. scores: (N,) the tracker's scores.
    """

    overlaps: np.ndarray
    scores: np.ndarray


def own_constants(preset: Preset) -> dict[str, float]:
    """Return a preset's values of the tuned constants, clipped to their ranges."""
    return {
        name: min(max(float(_get(preset, name)), low), high)
        for name, (low, high) in RANGES[preset.recipe.kind].items()
    }


def with_constants(preset: Preset, constants: dict[str, float]) -> Preset:
    """Return a preset with other values; names are dotted.

    Example:
        >>> from siamcorr.models import load_preset
        >>> changed = with_constants(load_preset("nanotrack-v2"), {"recipe.window": 0.25})
        >>> changed.recipe.window
        0.25
    """
    for name, value in constants.items():
        preset = _set(preset, name.split("."), value)
    return preset


def follow(network: Network, sequence: Frames) -> Pass:
    """Track a sequence from its first box.

    Raises:
        OSError: a frame cannot be read.
        ValueError: the first frame has no box.
    """
    tracker = Tracker(network)
    boxes, scores = [start_box(sequence, 0)], [1.0]
    for index, frame in enumerate(sequence):
        if index == 0:
            tracker.init(frame, boxes[0])
            continue
        result = tracker.update(frame)
        boxes.append(result.box_xywh)
        scores.append(result.score)
    known = 1 + np.flatnonzero(np.isfinite(sequence.boxes[1:]).all(axis=1))
    found = overlaps(np.array(boxes, dtype=float)[known], sequence.boxes[known])
    return Pass(found, np.array(scores)[known])


def try_constants(network: Network, sequences: Sequence[Frames], trial: "optuna.Trial") -> float:
    """Run a trial and return the mean over sequences of their mean IoU; this changes the preset.

    Raises:
        optuna.TrialPruned: other trials were better at this point.
    """
    import optuna

    ranges = RANGES[network.preset.recipe.kind]
    constants = {name: trial.suggest_float(name, *ends) for name, ends in ranges.items()}
    network.preset = with_constants(network.preset, constants)
    passes: list[Pass] = []
    for index, sequence in enumerate(sequences):
        passes.append(follow(network, sequence))
        mean = float(np.mean([one.overlaps.mean() for one in passes if one.overlaps.size]))
        trial.report(mean, index)
        if trial.should_prune():
            raise optuna.TrialPruned
    for name, value in thresholds(passes).items():
        trial.set_user_attr(name, value)
    return mean


def thresholds(passes: Iterable[Pass]) -> dict[str, float]:
    """Return the scores `lost_below` and `found_above` by name.

    One on-target frame in a thousand scores below the first, one in fifty below the second. The
    dict is empty if no frame was on target.
    """
    together = [*passes]
    found = np.concatenate([one.overlaps for one in together])
    scores = np.concatenate([one.scores for one in together])
    on_target = scores[found >= ON_TARGET]
    if not on_target.size:
        return {}
    ends = np.quantile(np.clip(on_target, 0, 1), [RARE, SELDOM])
    return {name: float(np.floor(100 * end) / 100) for name, end in zip(SCORES, ends, strict=True)}


def open_study(path: Path, preset: Preset, sequences: Sequence[Frames]) -> "optuna.Study":
    """Open the study in a file, or make a new one that tries the preset's own constants first.

    Raises:
        ValueError: the study in the file has another network or other sequences.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    fresh = not path.exists()
    about = {"preset": preset.name, "sequences": [sequence.name for sequence in sequences]}
    study = optuna.create_study(
        study_name=preset.name,
        storage=JournalStorage(JournalFileBackend(str(path))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=1),
        direction="maximize",
        load_if_exists=True,
    )
    if fresh:
        for name, value in about.items():
            study.set_user_attr(name, value)
        study.enqueue_trial(own_constants(preset))
    if any(study.user_attrs.get(name) != value for name, value in about.items()):
        raise ValueError(f"{path}: is a study of another network or of other sequences")
    return study


def search(
    study: "optuna.Study",
    network: Network,
    sequences: Sequence[Frames],
    trials: int,
    seed: int = 0,
    done: Callable[[], Any] = lambda: None,
) -> None:
    """Run trials until the study has `trials`; other processes may run trials at the same time.

    Args:
        study: a study from `open_study`.
        network: the network that tracks.
        sequences: the sequences.
        trials: total number, with those of earlier calls and other processes.
        seed: seed of the sampler; each process needs another one.
        done: called after each trial.
    """
    import optuna

    study.sampler = optuna.samplers.TPESampler(seed=seed)
    while finished(study) < trials:
        study.optimize(partial(try_constants, network, sequences), n_trials=1)
        done()


def finished(study: "optuna.Study") -> int:
    """Return the number of finished trials, pruned ones included."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def best_constants(study: "optuna.Study", preset: Preset) -> dict[str, float]:
    """Return the constants of the best trial, and score thresholds if the recipe has them."""
    best = study.best_trial
    found = {name: float(f"{value:.3g}") for name, value in best.params.items()}
    if preset.recipe.kind in ("points", "anchors"):
        found |= {name: best.user_attrs[name] for name in SCORES if name in best.user_attrs}
    return found


def replace_constants(text: str, constants: dict[str, float]) -> str:
    r"""Replace constants in a preset's TOML text; names are dotted, and comments stay.

    Example:
        >>> print(replace_constants("[recipe]\nwindow = 0.4  # wide", {"recipe.window": 0.25}))
        [recipe]
        window = 0.25  # wide
    """
    for name, value in constants.items():
        table, _, key = name.rpartition(".")
        header = re.search(rf"^\[{re.escape(table)}\][^\n]*$", text, re.MULTILINE)
        if header is None:
            text = f"{text.rstrip()}\n\n[{table}]\n{key} = {value:g}\n"
            continue
        following = re.search(r"^\[", text[header.end() :], re.MULTILINE)
        end = header.end() + following.start() if following else len(text)
        body = text[header.end() : end]
        line = rf"^({re.escape(key)}\s*=\s*)[^\s#]+"
        if re.search(line, body, re.MULTILINE):
            body = re.sub(line, rf"\g<1>{value:g}", body, count=1, flags=re.MULTILINE)
        else:
            body = f"\n{key} = {value:g}{body}"
        text = text[: header.end()] + body + text[end:]
    return text


def _get(value: Any, name: str) -> Any:
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _set(value: Any, parts: list[str], new: float) -> Any:
    first, *rest = parts
    return replace(value, **{first: _set(getattr(value, first), rest, new) if rest else new})
