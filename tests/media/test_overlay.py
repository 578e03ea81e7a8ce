"""Overlay: boxes are at their place, and peaks of the response are red."""

import numpy as np
import pytest

from siamcorr.media import draw_result, heat_map
from siamcorr.media.overlay import SURE, UNSURE


@pytest.fixture
def frame(rng):
    return rng.integers(90, 110, (100, 140, 3)).astype(np.uint8)


def test_box_is_drawn_where_asked(frame):
    drawn = draw_result(frame, (30, 40, 50, 20), score=1.0)
    changed = (drawn != frame).any(axis=2)
    # A box ends at x + w: its last pixels are 79 and 59. The line is two to three pixels thick.
    for line in (changed[40, 30:80], changed[59, 30:80], changed[40:60, 30], changed[40:60, 79]):
        assert line.all()
    rows, columns = np.nonzero(changed)
    assert abs(rows.min() - 40) <= 2
    assert abs(rows.max() - 59) <= 2
    assert abs(columns.min() - 30) <= 2
    assert abs(columns.max() - 79) <= 2
    assert not changed[44:56, 34:76].any()  # pixels inside are unchanged


def test_input_is_not_modified(frame):
    before = frame.copy()
    drawn = draw_result(frame, (30, 40, 50, 20), 0.5, "label")
    np.testing.assert_array_equal(frame, before)
    assert (drawn.shape, drawn.dtype) == (frame.shape, np.uint8)
    assert not np.shares_memory(drawn, frame)


@pytest.mark.parametrize(("score", "color"), [(1.0, SURE), (0.0, UNSURE)])
def test_color_shows_the_score(frame, score, color):
    drawn = draw_result(frame, (30, 40, 50, 20), score)
    assert drawn[40, 50].tolist() == list(color)


def test_label_is_above_or_below_at_the_top_edge(frame):
    for box, above in (((30, 50, 50, 20), True), ((30, 10, 50, 20), False)):
        only_label = draw_result(frame, box, 1.0, "0.98") != draw_result(frame, box, 1.0)
        rows = np.nonzero(only_label.any(axis=(1, 2)))[0]
        assert len(rows) > 5
        assert (rows.max() < box[1]) == above
        assert (rows.min() > box[1] + box[3]) == (not above)


def test_box_across_the_border_is_clipped(frame):
    drawn = draw_result(frame, (-20.4, -30.2, 60.0, 70.5), 1.0)
    changed = (drawn != frame).any(axis=2)
    assert changed[39, :39].all()
    assert changed[:39, 39].all()
    assert not changed[44:, :].any()
    np.testing.assert_array_equal(draw_result(frame, (-500, -500, 20, 20), 1.0), frame)


def test_heat_map_is_red_at_the_peak_and_blue_far_from_it():
    response = np.zeros((15, 17), np.float32)
    response[4, 12] = 0.9
    picture = heat_map(response, (170, 150))
    assert (picture.shape, picture.dtype) == ((150, 170, 3), np.uint8)
    red, _, blue = picture[45, 125].astype(int)
    assert red > blue + 100
    red, _, blue = picture[120, 20].astype(int)
    assert blue > red + 100


def test_heat_map_of_a_flat_response():
    picture = heat_map(np.full((3, 3), 0.7), (6, 6))
    assert (picture == picture[0, 0]).all()
