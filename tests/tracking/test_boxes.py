"""Boxes: overlap, bounds, and boxes that no tracker can start on."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamcorr.tracking import box_around, box_iou, check_box

coordinate = st.floats(-50, 50)
boxes = st.tuples(coordinate, coordinate, st.floats(0.1, 50), st.floats(0.1, 50))


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(a, b):
    assert box_iou(a, b) == pytest.approx(box_iou(b, a))
    assert 0 <= box_iou(a, b) <= 1 + 1e-9
    assert box_iou(a, a) == pytest.approx(1)


def test_iou_known_values():
    assert box_iou((0, 0, 4, 4), (2, 0, 4, 4)) == pytest.approx(8 / 24)
    assert box_iou((0, 0, 4, 4), (4, 0, 4, 4)) == 0
    assert box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def test_box_around():
    assert box_around([5, 1, 9, 4, 4, 8, 1, 3]) == (1, 1, 8, 7)


@pytest.mark.parametrize(
    ("box", "text"),
    [
        ((1, 2, 3), "four finite numbers"),
        ((1, 2, math.nan, 4), "four finite numbers"),
        ((1, 2, 3, math.inf), "four finite numbers"),
        ((1, 2, 0, 4), "must have a size, got w 0 and h 4"),
        ((1, 2, 3, -4), "must have a size"),
        ((0, 0, 1e300, 1e300), "more than 10 times the 320x240 frame"),
        ((320, 2, 3, 4), "outside the 320x240 frame"),
        ((-3, 2, 3, 4), "outside"),
        ((1, 240, 3, 4), "outside"),
    ],
)
def test_check_box_refuses(box, text):
    with pytest.raises(ValueError, match=text):
        check_box(box, (240, 320))


def test_check_box_takes_a_box_across_the_border():
    assert check_box([-2, -2, 3, 3], (240, 320)) == (-2.0, -2.0, 3.0, 3.0)
