"""Scores by attribute: pooled over frames, or the mean over sequences."""

import math
from pathlib import Path

import numpy as np
import pytest

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.evaluation import AttributeScore, attribute_scores


def clip(name, count, **attributes):
    return Sequence(name, (Path(),) * count, np.ones((count, 4)), None, attributes)


def success(*overlaps):
    """Shares of overlaps above 0, 0.05, ..., 1, by heart."""
    thresholds = np.linspace(0, 1, 21)
    return np.mean([[value > threshold for value in overlaps] for threshold in thresholds])


def test_frames_are_pooled():
    clips = [
        clip("a", 4, blur=(False, True, True, False)),
        clip("b", 3, blur=(True, False, False)),
        clip("c", 2),
    ]
    overlaps = {
        "a": np.array([1.0, 0.33, 0.52, 0.9]),
        "b": np.array([0.07, 0.9, 0.9]),
        "c": np.ones(2),
    }
    (score,) = attribute_scores(overlaps, clips).values()
    assert score == AttributeScore(pytest.approx(success(0.33, 0.52, 0.07)), 3, "frames")


def test_sequences_are_averaged():
    clips = [clip("a", 4, night=(True,)), clip("b", 1, night=(True,)), clip("c", 2, night=(False,))]
    overlaps = {
        "a": np.array([0.1, 0.33, math.nan, 0.9]),
        "b": np.array([0.07]),
        "c": np.ones(2),
    }
    (score,) = attribute_scores(overlaps, clips).values()
    mean = (success(0.1, 0.33, 0.9) + success(0.07)) / 2
    assert score == AttributeScore(pytest.approx(mean), 2, "sequences")


def test_frames_of_both_kinds_are_pooled():
    """An attribute that is said of whole sequences in some and of frames in others."""
    clips = [clip("a", 2, blur=(True,)), clip("b", 3, blur=(False, False, True))]
    overlaps = {"a": np.array([0.2, 0.4]), "b": np.array([1, 1, 0.6])}
    score = attribute_scores(overlaps, clips)["blur"]
    assert (score.success, score.count) == (pytest.approx(success(0.2, 0.4, 0.6)), 3)
    assert score.unit == "frames"


def test_frames_without_truth_do_not_count():
    clips = [clip("a", 3, blur=(True, True, False), absent=(False, True, False), never=(False,))]
    scores = attribute_scores({"a": np.array([0.5, math.nan, 1])}, clips)
    assert list(scores) == ["blur"]
    assert scores["blur"].count == 1


def test_sequences_that_were_not_finished_do_not_count():
    clips = [clip("a", 1, night=(True,)), clip("b", 1, night=(True,))]
    assert attribute_scores({"b": np.array([0.5])}, clips)["night"].count == 1
    assert attribute_scores({}, clips) == {}


def test_names_are_sorted():
    clips = [clip("a", 1, wind=(True,), fog=(True,), dust=(True,))]
    assert list(attribute_scores({"a": np.ones(1)}, clips)) == ["dust", "fog", "wind"]
