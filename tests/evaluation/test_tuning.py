"""Tuning: constants with dotted names, trials, and resumed studies."""

import tomllib
from dataclasses import replace

import numpy as np
import optuna
import pytest

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.evaluation import tuning
from siamcorr.evaluation.tuning import (
    RANGES,
    Pass,
    best_constants,
    finished,
    open_study,
    own_constants,
    replace_constants,
    search,
    thresholds,
    try_constants,
    with_constants,
)
from siamcorr.models import load_preset, preset_names
from siamcorr.models.presets import preset_path

PRESET = load_preset("nanotrack-v2")
BEST = {"recipe.window": 0.3, "recipe.penalty": 0.1, "recipe.learning_rate": 0.5}


class Network:
    """All that a trial needs of one."""

    def __init__(self):
        self.preset = PRESET


def sequence(name="one", frames=3):
    return Sequence(name, ("",) * frames, np.tile([0.0, 0.0, 10.0, 10.0], (frames, 1)))


def goodness(preset):
    """1 at BEST, less the further away."""
    return 1 - sum(abs(tuning._get(preset, name) - value) for name, value in BEST.items())


@pytest.fixture(autouse=True)
def pretended(monkeypatch):
    """Instead of tracking: the overlap is known from the constants."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = []

    def follow(network, sequence):
        asked.append(sequence.name)
        overlaps = np.full(len(sequence) - 1, goodness(network.preset))
        return Pass(overlaps, np.linspace(0.6, 0.9, len(sequence) - 1))

    monkeypatch.setattr(tuning, "follow", follow)
    return asked


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_has_constants_to_tune(name):
    """And with its own ones it stays what it is, as far as they are in the range."""
    preset = load_preset(name)
    own = own_constants(preset)
    assert own.keys() == RANGES[preset.recipe.kind].keys()
    within = {key: value for key, value in own.items() if tuning._get(preset, key) == value}
    assert within
    assert with_constants(preset, within) == preset


def test_other_constants():
    changed = with_constants(PRESET, {"recipe.window": 0.11, "crop.context": 0.6})
    assert changed.recipe == replace(PRESET.recipe, window=0.11)
    assert changed.crop == replace(PRESET.crop, context=0.6)
    fc = with_constants(load_preset("siamfc-alexnet"), {"recipe.scales.step": 1.05})
    assert fc.recipe.scales.step == 1.05


def test_own_constants_come_first_and_better_ones_are_found(tmp_path):
    study = open_study(tmp_path / "s.journal", PRESET, [sequence()])
    calls = []
    search(study, Network(), [sequence()], 40, done=lambda: calls.append(1))
    trials = study.get_trials()
    assert trials[0].params == pytest.approx(own_constants(PRESET))
    assert trials[0].value == pytest.approx(goodness(PRESET))
    assert len(trials) == len(calls) == finished(study) == 40
    assert study.best_value > goodness(PRESET) + 0.05
    found = best_constants(study, PRESET)
    assert goodness(with_constants(PRESET, found)) == pytest.approx(study.best_value, abs=0.01)


def test_a_study_continues(tmp_path):
    path = tmp_path / "s.journal"
    search(open_study(path, PRESET, [sequence()]), Network(), [sequence()], 3)
    study = open_study(path, PRESET, [sequence()])
    assert finished(study) == 3
    search(study, Network(), [sequence()], 5)
    assert finished(open_study(path, PRESET, [sequence()])) == 5
    firsts = [trial for trial in study.get_trials() if trial.params == own_constants(PRESET)]
    assert len(firsts) == 1


def test_a_finished_study_runs_no_trials(tmp_path, pretended):
    study = open_study(tmp_path / "s.journal", PRESET, [sequence()])
    search(study, Network(), [sequence()], 2)
    tried = len(pretended)
    search(study, Network(), [sequence()], 2)
    assert len(pretended) == tried


def test_other_sequences_are_another_study(tmp_path):
    open_study(tmp_path / "s.journal", PRESET, [sequence()])
    with pytest.raises(ValueError, match="of another network or of other sequences"):
        open_study(tmp_path / "s.journal", PRESET, [sequence("other")])


def test_the_mean_is_over_sequences_not_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(
        tuning, "follow", lambda network, s: Pass(np.full(len(s), len(s) / 10), np.ones(len(s)))
    )
    study = open_study(tmp_path / "s.journal", PRESET, [sequence("a", 2), sequence("b", 8)])
    value = try_constants(Network(), [sequence("a", 2), sequence("b", 8)], study.ask())
    assert value == pytest.approx(0.5)


def test_a_bad_trial_is_pruned(tmp_path, pretended):
    """Its second half is not tracked."""
    many = [sequence(name) for name in "abcd"]
    study = open_study(tmp_path / "s.journal", PRESET, many)
    search(study, Network(), many, 30)
    states = [trial.state for trial in study.get_trials()]
    assert optuna.trial.TrialState.PRUNED in states
    assert len(pretended) < 30 * 4


# thresholds


def test_thresholds_are_of_the_frames_on_target():
    on = Pass(np.full(1000, 0.8), np.linspace(0.5, 1.0, 1000))
    off = Pass(np.full(500, 0.1), np.zeros(500))
    found = thresholds([on, off])
    assert found == {"recipe.lost_below": 0.5, "recipe.found_above": 0.51}


def test_never_on_target():
    assert thresholds([Pass(np.zeros(5), np.ones(5))]) == {}


def test_thresholds_only_for_probabilities(tmp_path):
    preset = load_preset("dcfnet")
    network = Network()
    network.preset = preset
    study = open_study(tmp_path / "s.journal", preset, [sequence()])
    study.optimize(lambda trial: try_constants(network, [sequence()], trial), n_trials=1)
    assert set(best_constants(study, preset)) == set(RANGES["filter"])


# the file


@pytest.mark.parametrize("name", preset_names())
def test_a_changed_file_is_the_changed_preset(name, tmp_path):
    preset = load_preset(name)
    kind = RANGES[preset.recipe.kind]
    constants = {key: round((low + high) / 2, 3) for key, (low, high) in kind.items()}
    path = tmp_path / "changed.toml"
    text = preset_path(name).read_text(encoding="utf-8")
    path.write_text(replace_constants(text, constants), encoding="utf-8")
    assert load_preset(str(path)) == with_constants(preset, constants)


def test_comments_stay():
    text = "# a\n[recipe]\n# b\nwindow = 0.4 # c\n\n[crop]\ncontext = 0.5\n"
    changed = replace_constants(text, {"recipe.window": 0.2, "recipe.penalty": 0.1})
    assert changed == (
        "# a\n[recipe]\npenalty = 0.1\n# b\nwindow = 0.2 # c\n\n[crop]\ncontext = 0.5\n"
    )
    assert tomllib.loads(changed)["recipe"] == {"penalty": 0.1, "window": 0.2}
