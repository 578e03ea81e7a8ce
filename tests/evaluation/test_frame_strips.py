"""Strips: frames in which trackers differ, with colored boxes."""

import math

import numpy as np
import pytest
from tiny_datasets import only, write_images, write_rows, write_video

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.evaluation import tracker_colors
from siamcorr.evaluation.frame_strips import frames_at, most_different_frames, strip
from siamcorr.media import SourceError

TRUTH = np.tile([20.0, 20, 30, 40], (12, 1))


def moved(x, y):
    return TRUTH + np.array([x, y, 0, 0])


def test_most_different_frames_are_where_trackers_differ():
    a, b = np.full(100, 0.8), np.full(100, 0.8)
    b[[15, 40, 70, 90]] = [0.1, 0.2, 0.3, 0.0]
    b[[41, 42, 71]] = [0.21, 0.22, 0.31]  # as telling as their neighbours, so one is enough
    assert most_different_frames({"a": a, "b": b}, 4) == [15, 40, 70, 90]


@pytest.mark.parametrize(("length", "expected"), [(1, 1), (3, 3), (6, 6), (100, 6), (1000, 6)])
def test_most_different_frames_are_apart(rng, length, expected):
    chosen = most_different_frames({"a": rng.random(length), "b": rng.random(length)})
    assert len(chosen) == expected
    assert chosen == sorted(set(chosen))
    assert np.diff(chosen).min(initial=length) >= length // 12
    assert all(0 <= index < length for index in chosen)


def test_most_different_frames_of_one_tracker_are_its_worst():
    overlap = np.full(60, 0.9)
    overlap[[5, 30, 50]] = [0.2, 0.0, 0.4]
    assert most_different_frames({"a": overlap}, 3) == [5, 30, 50]


def test_most_different_frames_where_truth_is_unknown():
    a, b = np.ones(40), np.ones(40)
    a[10:20] = b[10:20] = math.nan
    b[33] = 0.0
    assert 33 in most_different_frames({"a": a, "b": b}, 1)


def test_strip():
    frames = [(index, np.full((120, 160, 3), 50 + index, np.uint8)) for index in (2, 7)]
    before = frames[0][1].copy()
    truth = TRUTH.copy()
    truth[7] = math.nan
    boxes = {"a": moved(40, 0), "b": moved(0, 40)}
    for found in boxes.values():
        found[7, 0] += 50
    colors = {"b": (0, 0, 250), "c": (0, 0, 0), "a": (250, 0, 0)}
    row = strip(frames, boxes, truth, colors)
    assert (row.shape, row.dtype) == ((240, 640, 3), np.uint8)
    np.testing.assert_array_equal(frames[0][1], before)
    # Both tiles are twice as large; left sides of the boxes at half their height.
    for x, y, color in ((60, 40, colors["a"]), (20, 80, colors["b"])):
        for left in (0, 320 + 2 * 50):
            assert abs(row[2 * y, left + 2 * x].astype(int) - color).max() < 30
    assert row[100, 40].min() > 225  # the true one
    assert row[60, 320 + 40].max() < 60  # which nobody knows in the other frame


def test_boxes_are_drawn_over_the_truth():
    frames = [(0, np.zeros((240, 320, 3), np.uint8))]
    row = strip(frames, {"a": TRUTH}, TRUTH, {"a": (250, 0, 0)})
    assert row[40, 20].tolist() == [250, 0, 0]


def test_a_polygon_is_drawn_in_place_of_its_box():
    polygons = np.tile([35.0, 20, 50, 40, 35, 60, 20, 40], (12, 1))
    polygons[1] = math.nan
    frames = [(index, np.zeros((240, 320, 3), np.uint8)) for index in (0, 1)]
    row = strip(frames, {}, TRUTH, {}, polygons)
    assert row[40, 20].min() > 225  # a corner of the diamond
    assert row[25, 20].max() < 30  # the side of its box
    assert row[25, 320 + 20].min() > 225  # the box where there is no diamond


def test_boxes_that_cannot_be_drawn():
    boxes = {"gone": TRUTH * math.nan, "far": TRUTH * 1e12}
    frames = [(0, np.zeros((240, 320, 3), np.uint8))]
    row = strip(frames, boxes, TRUTH * math.nan, tracker_colors(boxes))
    assert row[30:].max() == 0


@pytest.mark.parametrize(
    ("count", "shape"),
    [(1, (240, 320)), (3, (240, 960)), (4, (480, 960)), (6, (480, 960)), (7, (720, 960))],
)
def test_three_tiles_in_a_row(count, shape):
    frames = [(index, np.full((60, 80, 3), 10 * index, np.uint8)) for index in range(count)]
    picture = strip(frames, {}, TRUTH * math.nan, {})
    assert picture.shape == (*shape, 3)
    for index in range(count):
        left, top = 320 * (index % 3), 240 * (index // 3)
        assert picture[top + 200, left + 200].tolist() == [10 * index] * 3
    if count == 4:
        assert picture[440, 520].min() == 255


# frames of a sequence


def test_frames_of_images_are_read_alone(tmp_path):
    write_images(tmp_path / "a", 6)
    write_rows(tmp_path / "a" / "groundtruth.txt", [(1, 2, 3, 4)] * 6)
    (tmp_path / "a" / "00000004.jpg").write_bytes(b"no image")
    sequence = only(tmp_path, "vot")
    frames = frames_at(sequence, [4, 0])
    assert [(index, round(frame.mean())) for index, frame in frames] == [(0, 1), (4, 5)]
    with pytest.raises(SourceError, match=r"00000004\.jpg: not a readable image"):
        frames_at(sequence, [3])


def test_frames_of_a_video(tmp_path):
    write_video(tmp_path / "clip.avi", 6)
    sequence = Sequence("clip", tmp_path / "clip.avi", np.zeros((6, 4)))
    frames = frames_at(sequence, [4, 1])
    assert [index for index, _ in frames] == [1, 4]
    assert [frame.mean() for _, frame in frames] == pytest.approx([40, 160], abs=3)


# colours


def test_every_tracker_has_its_own_color():
    names = [f"t{number}" for number in range(40)]
    colors = tracker_colors([*names, "t3"])
    assert list(colors) == names
    assert len({*colors.values()}) == 40
    assert all(0 <= value <= 255 for color in colors.values() for value in color)
    assert all(min(color) < 200 for color in colors.values())  # none is near the truth's white
    assert tracker_colors(names[:5]) == {name: colors[name] for name in names[:5]}
