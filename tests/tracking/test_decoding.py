"""Decoding: grids, boxes, penalties and the choice between them."""

import numpy as np
import pytest

from siamcorr.tracking.decoding import (
    best_box,
    boxes_from_distances,
    change_penalty,
    point_grid,
    target_score,
)


def test_point_grid_of_nanotrack():
    """16 points at stride 16, from -128 to 112 around the middle of 255 pixels."""
    x, y = point_grid(16, 16, 255)
    assert (x[0] - 127.5).tolist() == list(range(-128, 128, 16))
    np.testing.assert_array_equal(x.T, y)


def test_point_grid_odd_is_symmetric():
    x, _ = point_grid(15, 16, 255)
    assert x[0].mean() == 127.5


def test_target_score():
    logits = np.array([[[0.0, 1, 800]], [[0.0, 3, 0]]])
    with np.errstate(over="ignore"):
        score = target_score(logits)
    assert score[0, 0, :2] == pytest.approx([0.5, 1 / (1 + np.exp(-2))])
    assert score[0, 0, 2] == 0


def test_target_score_of_one_channel():
    """One channel: sigmoid."""
    logits = np.array([[[-1.0, 0], [2, 30]]])
    score = target_score(logits)
    assert score.shape == (1, 2, 2)
    assert score == pytest.approx(1 / (1 + np.exp(-logits)))


@pytest.mark.parametrize("anchors", [2, 3, 5])
def test_target_score_of_anchors(anchors):
    """Channel class * k + anchor: softmax over both classes; or k channels for the sigmoid."""
    logits = np.random.default_rng(0).normal(size=(2 * anchors, 4, 6)) * 3
    score = target_score(logits, anchors)
    assert score.shape == (anchors, 4, 6)
    for k in range(anchors):
        against, target = np.exp(logits[k]), np.exp(logits[anchors + k])
        assert score[k] == pytest.approx(target / (against + target))
    alone = target_score(logits[:anchors], anchors)
    assert alone == pytest.approx(1 / (1 + np.exp(-logits[:anchors])))


def test_boxes_from_distances():
    points = np.array([[[100.0]], [[50.0]]])
    distances = np.array([10.0, 5, 30, 15]).reshape(4, 1, 1)
    assert boxes_from_distances(points, distances).ravel().tolist() == [110, 55, 40, 20]


def test_change_penalty():
    same = change_penalty(np.array(40.0), np.array(20.0), (40, 20), 0.15)
    assert same == pytest.approx(1)
    double, half = (
        change_penalty(np.array(40.0 * f), np.array(20.0 * f), (40, 20), 0.15) for f in (2, 0.5)
    )
    assert double == pytest.approx(np.exp(-0.15))
    assert half == pytest.approx(double)
    turned = change_penalty(np.array(20.0), np.array(40.0), (40, 20), 0.15)
    assert turned == pytest.approx(np.exp(-0.15 * 3))  # the same side, a ratio of four


def test_best_box_prefers_the_middle_among_equals():
    points = point_grid(16, 16, 255)
    boxes = boxes_from_distances(points, np.full((4, 16, 16), 20.0))
    score = np.full((1, 16, 16), 0.9)
    best = best_box(score, boxes, (40, 40), penalty=0.15, window=0.49)
    assert abs(best.x - 127.5) <= 16
    assert best.score == pytest.approx(0.9)


def test_best_box_follows_a_clear_score():
    points = point_grid(16, 16, 255)
    boxes = boxes_from_distances(points, np.full((4, 16, 16), 20.0))
    score = np.full((1, 16, 16), 1e-3)
    score[0, 4, 11] = 1.0
    best = best_box(score, boxes, (40, 40), penalty=0.15, window=0.49)
    assert (best.x, best.y) == (points[0, 4, 11], points[1, 4, 11])
    assert (best.width, best.height, best.penalty) == (40, 40, 1)


def test_a_relative_window_does_not_decide_alone_where_scores_are_low():
    """Scores of a tenth choose the same cell; with the plain window, the middle wins."""
    boxes = np.zeros((4, 1, 5, 5)) + np.reshape([0, 0, 40, 40], (4, 1, 1, 1))
    boxes[0] = np.arange(5)
    score = np.full((1, 5, 5), 0.1)
    score[0, 2, 3] = 0.9
    for scores, relative, column in (
        (score, True, 3),
        (score, False, 3),
        (score / 10, True, 3),
        (score / 10, False, 2),
    ):
        best = best_box(scores, boxes, (40, 40), penalty=0.1, window=0.4, relative=relative)
        assert best.x == column
        assert best.score == scores[0, 2, column]


def test_best_box_chooses_among_anchors():
    """The same score and place, and boxes of other shapes: the last one's shape wins."""
    points = point_grid(5, 8, 127)
    shapes = np.array([[80.0, 40], [40, 80], [50, 50]])
    boxes = np.stack([np.broadcast_to(plane, (5, 5)) for plane in points])
    boxes = np.stack([np.stack([*boxes, *np.full((2, 5, 5), 1.0)])] * 3, axis=1)
    boxes[2:] = shapes.T[:, :, None, None]
    score = np.full((3, 5, 5), 0.5)
    score[1] = 0.6
    best = best_box(score, boxes, (80, 40), penalty=0.3, window=0.4)
    assert (best.width, best.height, best.score, best.penalty) == (80, 40, 0.5, 1)
    assert (best.x, best.y) == (63.5, 63.5)
    best = best_box(score, boxes, (80, 40), penalty=0.0, window=0.4)
    assert (best.width, best.height, best.score, best.penalty) == (40, 80, 0.6, 1)
