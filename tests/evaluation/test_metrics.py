"""Scores: equal to the got10k toolkit's, and to known values."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamcorr.evaluation import center_errors, mean_scores, overlaps, score
from siamcorr.evaluation.box_errors import corners_of

TRUTH = np.tile([10.0, 20, 10, 20], (4, 1))
# Quarters of pixels: boxes that touch, hold each other, are equal, or hit a threshold.
PLACE, SIZE = (st.integers(low, high).map(lambda n: n / 4) for low, high in ((-40, 240), (0, 160)))
BOX = st.tuples(PLACE, PLACE, SIZE, SIZE)
PAIRS = st.lists(st.tuples(BOX, BOX), min_size=2, max_size=12)


def moved(x=0.0, y=0.0, w=0.0, h=0.0):
    return TRUTH + np.array([x, y, w, h])


def random_boxes(rng, count=200):
    """Pairs of boxes, most of which meet, some of them beyond a frame of 60x80."""
    truth = np.column_stack([rng.uniform(-20, 80, (count, 2)), rng.uniform(0, 50, (count, 2))])
    return truth + rng.normal(0, 1, (count, 4)) * rng.uniform(0, 10, (count, 1)), truth


def check_against_toolkit(boxes, truth, size):
    metrics = pytest.importorskip("got10k.utils.metrics")
    experiments = pytest.importorskip("got10k.experiments")
    iou, error = metrics.rect_iou(boxes, truth), metrics.center_error(boxes, truth)
    close = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(overlaps(boxes, truth), iou, **close)
    np.testing.assert_allclose(center_errors(boxes, truth), error, **close)
    bins = SimpleNamespace(nbins_iou=21, nbins_ce=51)
    success, precision = experiments.ExperimentOTB._calc_curves(bins, iou, error)
    # It cuts its arguments to the frame in place.
    cut = metrics.rect_iou(boxes[1:].copy(), truth[1:].copy(), bound=(size[1], size[0]))
    ao, sr50, _, _ = experiments.ExperimentGOT10k._evaluate(None, cut, [])
    found = score(boxes, truth, size)
    np.testing.assert_allclose(found.success_curve, success, **close)
    np.testing.assert_allclose(found.precision_curve, precision, **close)
    expected = [success.mean(), precision[20], ao, sr50, (cut > 0.75).mean()]
    values = [found.success, found.precision, found.ao, found.sr50, found.sr75]
    np.testing.assert_allclose(values, expected, **close)


@settings(max_examples=60, deadline=None)
@given(pairs=PAIRS)
def test_equal_to_the_toolkit(pairs):
    boxes, truth = (np.array(side) for side in zip(*pairs, strict=True))
    check_against_toolkit(boxes, truth, (40, 55))


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_the_toolkit_at_random(seed):
    boxes, truth = random_boxes(np.random.default_rng(seed))
    boxes[:, 2:] = boxes[:, 2:].clip(0)
    before = boxes.copy(), truth.copy()
    check_against_toolkit(boxes, truth, (60, 80))
    score(boxes, truth, (60, 80))
    np.testing.assert_array_equal((boxes, truth), before)


def test_perfect_and_disjoint():
    perfect, disjoint = score(TRUTH, TRUTH), score(moved(x=1000), TRUTH)
    assert perfect.success == pytest.approx(20 / 21, abs=1e-12)  # no overlap is over 1
    assert perfect.success_curve.tolist() == [1.0] * 20 + [0.0]
    names = ("precision", "norm_precision", "ao", "sr50", "sr75")
    assert [getattr(perfect, name) for name in names] == pytest.approx([1.0] * 5, abs=1e-12)
    assert [getattr(disjoint, name) for name in ("success", *names)] == [0.0] * 6


def test_known_values():
    assert overlaps(moved(x=5), TRUTH) == pytest.approx([1 / 3] * 4)
    assert overlaps(moved(x=10), TRUTH).tolist() == [0.0] * 4  # they touch
    assert overlaps(moved(w=-5, h=-10), TRUTH) == pytest.approx([1 / 4] * 4)
    assert center_errors(moved(x=3, y=4), TRUTH).tolist() == [5.0] * 4
    assert center_errors(moved(w=6, h=-8), TRUTH).tolist() == [5.0] * 4
    assert center_errors(moved(x=5), TRUTH, normalised=True).tolist() == [0.5] * 4
    assert center_errors(moved(y=5), TRUTH, normalised=True).tolist() == [0.25] * 4
    grown = moved(w=10, h=20)  # the sides are the true box's
    assert center_errors(grown, TRUTH, normalised=True) == pytest.approx([0.5**0.5] * 4)


@pytest.mark.parametrize(
    ("boxes", "name", "value"),
    [
        (moved(x=20), "precision", 1.0),
        (moved(x=20.01), "precision", 0.0),
        (moved(y=10), "norm_precision", 1 / 51),
        (moved(y=5), "norm_precision", 26 / 51),
        (moved(y=10.01), "norm_precision", 0.0),
        (moved(w=-5), "sr50", 0.0),  # half is not over a half
        (moved(w=-4.9), "sr50", 1.0),
        (moved(w=-2.5), "sr75", 0.0),
        (moved(w=-2.4), "sr75", 1.0),
    ],
)
def test_thresholds(boxes, name, value):
    assert getattr(score(boxes, TRUTH), name) == pytest.approx(value)


def test_first_frame_counts_for_the_plots_alone():
    boxes = np.vstack([TRUTH[:1], moved(x=1000)[1:]])
    found = score(boxes, TRUTH)
    assert (found.precision, found.ao, found.sr50) == (0.25, 0.0, 0.0)
    assert found.success == pytest.approx(20 / 21 / 4)
    assert score(TRUTH[:1], TRUTH[:1]).ao == pytest.approx(1)  # there is no other


def test_frames_without_truth_are_left_out(rng):
    boxes, truth = random_boxes(rng, 40)
    gaps = truth.copy()
    gaps[[3, 17, 39]] = math.nan
    gaps[8, 2] = math.nan
    known = np.setdiff1d(np.arange(40), [3, 8, 17, 39])
    found, expected = score(boxes, gaps, (60, 80)), score(boxes[known], truth[known], (60, 80))
    for name, value in dataclasses.asdict(expected).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=0, atol=1e-12)
    assert np.isnan(overlaps(boxes, gaps)).nonzero()[0].tolist() == [3, 8, 17, 39]


@pytest.mark.parametrize("polygons", [False, True])
@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_box_that_is_not_finite_has_no_overlap(lost, polygons):
    if polygons:
        pytest.importorskip("shapely")
    boxes = TRUTH.copy()
    boxes[2, 1] = lost
    assert overlaps(boxes, TRUTH)[2] == 0
    assert center_errors(boxes, TRUTH).tolist() == [0, 0, math.inf, 0]
    found = score(boxes, TRUTH, (60, 80), corners_of(TRUTH) if polygons else None)
    values = [found.precision, found.norm_precision, found.ao, found.sr50]
    assert values == pytest.approx([0.75, 0.75, 2 / 3, 2 / 3])
    assert found.success == pytest.approx(0.75 * 20 / 21)
    unknown = TRUTH.copy()
    unknown[2] = math.nan
    assert np.isnan(overlaps(boxes, unknown)).tolist() == [False, False, True, False]
    assert np.isnan(center_errors(boxes, unknown)).tolist() == [False, False, True, False]


def test_target_absent_at_first(rng):
    """The first frame is none that AO could leave out, if its truth is unknown."""
    truth = np.vstack([[math.nan] * 4, TRUTH])
    assert score(np.vstack([TRUTH[:1], moved(x=5)]), truth).ao == pytest.approx(1 / 3)


def test_mean():
    parts = [score(boxes, TRUTH[: len(boxes)]) for boxes in (TRUTH, moved(x=1000)[:2])]
    mean = mean_scores(parts)
    assert mean.success == pytest.approx(10 / 21)
    assert (mean.precision, mean.ao) == pytest.approx((0.5, 0.5))
    assert mean.success_curve.tolist() == [0.5] * 20 + [0.0]
    assert mean.precision_curve.tolist() == [0.5] * 51
    with pytest.raises(ValueError, match="no sequence was scored"):
        mean_scores([])


@pytest.mark.parametrize(
    ("boxes", "truth", "text"),
    [
        (TRUTH[:3], TRUTH, r"boxes \(3, 4\) and truth \(4, 4\) must be \(N, 4\)"),
        (TRUTH[:, :3], TRUTH[:, :3], r"must be \(N, 4\)"),
        (TRUTH[0], TRUTH[0], r"must be \(N, 4\)"),
        (TRUTH, TRUTH * math.nan, "no frame has a true box"),
    ],
)
def test_errors(boxes, truth, text):
    with pytest.raises(ValueError, match=f"^score: .*{text}"):
        score(boxes, truth)


def test_polygons_of_another_number():
    with pytest.raises(ValueError, match=r"^score: polygons \(3, 8\) must be \(4, 8\)"):
        score(TRUTH, TRUTH, None, np.zeros((3, 8)))
