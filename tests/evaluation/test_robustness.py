"""Failures: re-initialisation, counting, and robustness."""

import math

import numpy as np
import pytest
from scripted import Scripted, walk

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.evaluation import robustness, run_supervised


@pytest.mark.parametrize(
    ("away", "without", "starts", "failures"),
    [
        ((), (), [0], 0),
        ((3,), (), [0, 8], 1),
        ((3, 4, 5, 8), (), [0, 8], 1),  # nobody is asked until the next start, nor judged there
        ((3, 9), (), [0, 8, 14], 2),
        ((3, 10), (), [0, 8, 15], 2),
        ((27,), (), [0], 1),  # the sequence ends before the next start
        ((6,), (6,), [0], 0),  # it may well be away where nobody knows
        ((3,), (5, 6), [0, 8], 1),
        ((3,), (8, 9), [0, 10], 1),
        ((), (0, 1), [2], 0),
        ((), range(30), [], 0),
    ],
)
def test_failures(tmp_path, away, without, starts, failures):
    tracker = Scripted(away)
    assert run_supervised(tracker, walk(tmp_path / "frames", "walk", 30, without)) == failures
    assert tracker.frames("init") == starts


def test_every_frame_between_failures_is_shown(tmp_path):
    """Also those without truth: a target does not stand still meanwhile."""
    tracker = Scripted(away=[6])
    run_supervised(tracker, walk(tmp_path / "frames", "walk", 15, without=[3, 4]))
    assert tracker.frames("update") == [*range(1, 7), *range(12, 15)]


def test_a_slight_overlap_is_no_failure(tmp_path):
    sequence = walk(tmp_path / "frames", "walk", 30)
    assert run_supervised(Scripted(step=0.13), sequence) == 0  # 3.77 of 4 pixels at the end
    assert run_supervised(Scripted(step=0.14), sequence) == 1


def test_a_box_can_overlap_the_true_box_but_not_the_polygon(tmp_path):
    """A thin triangle: the upper right half of its box is empty, and there the tracker is."""
    pytest.importorskip("shapely")
    plain = walk(tmp_path / "frames", "walk", 12)
    corners = np.tile([2.0, 2, 2.5, 6, 6, 6, 2, 6], (12, 1))
    corners[5] = math.nan  # a frame with a box alone

    class Aside(Scripted):
        def update(self, frame):
            result = super().update(frame)
            result.box_xywh = (4.5, 2.0, 1.5, 1.5)
            return result

    sequence = Sequence("walk", plain.frames, plain.boxes, corners)
    assert run_supervised(Aside(), plain) == 0
    tracker = Aside()
    assert run_supervised(tracker, sequence) == 2
    assert tracker.frames("init") == [0, 6]


def test_overlap_outside_the_frame_is_a_failure(tmp_path):
    """Box and polygon meet to the left of the frame alone, as VOT bounds them."""
    pytest.importorskip("shapely")
    plain = walk(tmp_path / "frames", "walk", 4)
    corners = np.tile([-4.0, 0, 2, 0, 2, 4, -4, 4], (4, 1))
    sequence = Sequence("walk", plain.frames, np.tile([-4.0, 0, 6, 4], (4, 1)), corners)

    class Left(Scripted):
        def update(self, frame):
            result = super().update(frame)
            result.box_xywh = (-4.0, 0.0, 3.0, 4.0)
            return result

    assert run_supervised(Left(), sequence) == 1


@pytest.mark.parametrize(
    ("failures", "frames", "value"),
    [(0, 100, 1.0), (1, 30, 0.367879), (2, 600, 0.904837), (5, 100, 0.22313)],
)
def test_robustness(failures, frames, value):
    assert robustness(failures, frames) == pytest.approx(value, abs=1e-6)


def test_robustness_for_other_lengths():
    assert robustness(2, 400, sensitivity=100) == pytest.approx(math.exp(-0.5))
    with pytest.raises(ValueError, match="robustness: frames must be >= 1, got 0"):
        robustness(0, 0)
