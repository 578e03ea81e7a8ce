"""Drawing over a frame: at the right place, and clipped at the border."""

import numpy as np
import pytest

from siamcorr.tracking import TrackResult
from siamcorr.viewer.canvas import cut_out, draw_targets, lay_crops, lay_heat, lay_lines, wrapped


@pytest.fixture
def image():
    return np.full((200, 300, 3), 100, np.uint8)


def changed(image):
    return (image != 100).any(axis=2)


@pytest.mark.parametrize("region", [(100, 50, 80, 60), (-40, -30, 80, 60), (280, 180, 80, 60)])
def test_heat_covers_its_region_alone(image, region):
    lay_heat(image, TrackResult((0, 0, 9, 9), 1.0, False, np.random.rand(5, 5), region))
    x, y, w, h = region
    expected = np.zeros((200, 300), bool)
    expected[max(0, y) : y + h, max(0, x) : x + w] = True
    assert (changed(image) <= expected).all()
    assert changed(image)[expected].mean() > 0.9


@pytest.mark.parametrize("region", [None, (500, 50, 80, 60)])
def test_no_heat_map_without_a_region(image, region):
    lay_heat(image, TrackResult((0, 0, 9, 9), 1.0, False, np.eye(5), region))
    assert not changed(image).any()
    lay_heat(image, TrackResult((0, 0, 9, 9), 1.0, False, None, (0, 0, 50, 50)))
    assert not changed(image).any()


def test_score_bar_is_as_long_as_the_score(image):
    result = TrackResult((50, 60, 100, 40), 0.4)
    drawn = draw_targets(image, {0: result}, {})
    assert not changed(image).any()
    white = (drawn[106, :] == 240).all(axis=1)
    assert white.sum() == pytest.approx(40, abs=2)


def test_trail_goes_where_the_target_went(image):
    drawn = draw_targets(
        image, {3: TrackResult((200, 150, 20, 20), 1.0)}, {3: [(20, 20), (20, 80)]}
    )
    assert changed(drawn)[22:78, 20].all()


def test_crops_are_in_the_corner_if_they_fit(image):
    bright = np.full((40, 20, 3), 250, np.uint8)
    lay_crops(image, [bright, bright[:0], bright])
    rows, columns = np.nonzero(changed(image))
    assert rows.min() == 6
    assert rows.max() < 6 + 96
    assert columns.min() >= 300 - 2 * (48 + 6)
    tiny = np.full((60, 60, 3), 100, np.uint8)
    lay_crops(tiny, [bright])
    assert not changed(tiny).any()


@pytest.mark.parametrize(
    ("region", "shape"),
    [((10, 20, 30, 40), (40, 30)), ((-10, -10, 30, 40), (30, 20)), ((290, 190, 50, 50), (10, 10))],
)
def test_cut_out_is_clipped_to_the_image(image, region, shape):
    assert cut_out(image, region).shape[:2] == shape


def test_cut_out_of_nothing_is_empty(image):
    assert cut_out(image, None).size == 0


def test_lines_are_wrapped_to_the_width(image):
    words = ["space: pause", "n: next frame", "q: quit"]
    assert wrapped(words, 1000) == ["   ".join(words)]
    assert wrapped(words, 10) == words
    found = [wrapped(words, width) for width in range(10, 1000, 10)]
    assert [
        "space: pause   n: next frame",
        "q: quit",
    ] in found  # at some width that depends on the font
    counts = [len(lines) for lines in found]
    assert counts == sorted(counts, reverse=True)
    lay_lines(image, "top", ["one", "two"])
    rows = np.nonzero(changed(image).any(axis=1))[0]
    assert rows.min() < 10
    assert rows.max() > 190
    assert not changed(image)[40:140].any()
