"""Tables: columns and the order of rows."""

import numpy as np
import pytest

from siamcorr.evaluation import AttributeScore, mean_scores, score
from siamcorr.evaluation.tables import add_failures, attribute_table, score_table, sequence_table

TRUTH = np.tile([20.0, 20, 30, 40], (12, 1))
HEAD = ["success AUC", "precision 20 px", "normalised precision", "AO", "SR 0.5", "SR 0.75"]


def off(x):
    return score(TRUTH + np.array([x, 0, 0, 0]), TRUTH)


@pytest.fixture
def table():
    scores = {"bad": mean_scores([off(15)]), "good": mean_scores([off(2)])}
    return score_table(scores, {"good": 41.6, "bad": 100.2})


def test_scores(table):
    assert table[0] == ["tracker", *HEAD, "FPS"]
    assert [line[0] for line in table[1:]] == ["good", "bad"]
    best = off(2)
    values = [best.success, best.precision, best.norm_precision, best.ao, best.sr50, best.sr75]
    assert table[1][1:] == [*(f"{value:.3f}" for value in values), "42"]
    assert table[2][1:3] == ["0.333", "1.000"]  # an overlap of a third is over 7 of 21
    assert table[2][4:] == ["0.333", "0.000", "0.000", "100"]


def test_failures_are_summed_before_the_robustness_is_taken(table):
    failures = {"good": {"a": 1, "b": 2}, "bad": {"a": 9}}
    add_failures(table, failures, {"a": 100, "b": 200})
    assert table[0][-2:] == ["failures", "robustness"]
    assert table[1][-2:] == ["3", f"{np.exp(-30 * 3 / 300):.3f}"]
    assert table[2][-2:] == ["9", f"{np.exp(-30 * 9 / 100):.3f}"]  # where they were counted


def test_failures_that_were_not_counted(table):
    add_failures(table, {"good": {}}, {"a": 100})
    assert [line[-2:] for line in table[1:]] == [["-", "-"]] * 2


def test_sequences():
    rows = {"x": {"a": off(15), "b": off(1)}, "y": {"a": off(0)}}
    table = sequence_table(rows, {"b": 12, "a": 7})
    assert table[0] == ["sequence", "frames", "tracker", *HEAD]
    assert [line[:4] for line in table[1:]] == [
        ["b", "12", "x", f"{off(1).success:.3f}"],
        ["a", "7", "y", f"{off(0).success:.3f}"],  # the best first
        ["a", "7", "x", "0.333"],
    ]
    counted = sequence_table(rows, {"b": 12, "a": 7}, {"x": {"a": 4}, "y": {"a": 0}})
    assert [line[-1] for line in counted] == ["failures", "-", "0", "4"]


def test_attributes():
    rows = {
        "x": {
            "blur": AttributeScore(0.5, 30, "frames"),
            "fog": AttributeScore(0.25, 1, "sequences"),
        },
        "y": {
            "blur": AttributeScore(0.75, 40, "frames"),
            "ash": AttributeScore(1, 2, "sequences"),
        },
    }
    assert attribute_table(rows) == [
        ["attribute", "count", "of", "x", "y"],
        ["ash", "2", "sequences", "-", "1.000"],
        ["blur", "40", "frames", "0.500", "0.750"],
        ["fog", "1", "sequences", "0.250", "-"],
    ]
    assert attribute_table({"x": {}}) == [["attribute", "count", "of", "x"]]
