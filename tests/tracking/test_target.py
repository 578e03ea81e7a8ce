"""A target: its box, and the bounds that every step keeps."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamcorr.tracking.target import Target

FRAME = (240, 320)
TARGET = Target.from_box((100, 80, 60, 40), FRAME)
number = st.floats(-1e6, 1e6)


@given(x=number, y=number, w=st.floats(1, 1e3), h=st.floats(1, 1e3))
def test_box_and_back(x, y, w, h):
    target = Target.from_box((x, y, w, h), FRAME)
    assert target.center == pytest.approx((x + w / 2, y + h / 2))
    assert target.size == target.first_size == (w, h)
    assert target.frame_size == FRAME
    assert not target.lost
    assert target.box_xywh == pytest.approx((x, y, w, h), abs=1e-6)


@pytest.mark.parametrize(
    ("center", "size", "box"),
    [
        ((50, 60), (20, 30), (40, 45, 20, 30)),
        ((-5, 60), (20, 30), (-10, 45, 20, 30)),
        ((50, 1e9), (20, 30), (40, 225, 20, 30)),
        ((321, -1), (20, 30), (310, -15, 20, 30)),
        ((50, 60), (1, 9.5), (45, 55, 10, 10)),
        ((160, 120), (500, 500), (0, 0, 320, 240)),
        ((160, 120), (-3, 1e9), (155, 0, 10, 240)),
    ],
)
def test_move_to_stays_in_the_frame(center, size, box):
    """The centre does, and no side is longer than the frame's or shorter than 10 pixels."""
    assert TARGET.move_to(center, size, 10).box_xywh == box


@given(x=number, y=number, w=number, h=number)
def test_move_to_properties(x, y, w, h):
    moved = replace(TARGET, lost=True).move_to((x, y), (w, h), 10)
    assert 0 <= moved.center[0] <= 320
    assert 0 <= moved.center[1] <= 240
    assert 10 <= moved.size[0] <= 320
    assert 10 <= moved.size[1] <= 240
    assert (moved.first_size, moved.frame_size, moved.lost) == ((60, 40), FRAME, True)
    assert {type(value) for value in (*moved.center, *moved.size)} == {float}
    assert moved.move_to(moved.center, moved.size, 10) == moved


def test_a_frame_smaller_than_any_target():
    moved = Target.from_box((0, 0, 3, 4), (6, 5)).move_to((2, 2), (3, 4), 10)
    assert moved.size == (10, 10)


def test_smallest():
    """A side below the preset's minimum becomes the minimum."""
    assert TARGET.move_to((50, 60), (2, 7), 4).size == (4, 7)


def test_a_step_makes_a_new_target():
    TARGET.move_to((0, 0), (11, 11), 10)
    assert TARGET.box_xywh == (100, 80, 60, 40)
    with pytest.raises(FrozenInstanceError):
        TARGET.lost = True
