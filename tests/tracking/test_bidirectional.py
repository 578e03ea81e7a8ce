"""Tracking between marks: before, between and after them."""

import numpy as np
import pytest

from siamcorr import MultiTracker, TrackResult, build_model, follow_marks
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import find_weights, load_preset
from siamcorr.tracking import box_iou
from siamcorr.tracking.bidirectional import blend, join

CLIP = [*render_clip(ClipConfig(frames=16, width=240, height=180, target=50))]
FRAMES, TRUTH = zip(*CLIP, strict=True)


@pytest.fixture(scope="module")
def network():
    return build_model("siamcorr-lite", find_weights(load_preset("siamcorr-lite")))


def plain(network, order, start):
    """Results of an ordinary tracker, frame by frame in the given order."""
    tracker = MultiTracker(network)
    number = tracker.add(FRAMES[start], TRUTH[start])
    return {at: tracker.update(FRAMES[at])[number].box_xywh for at in order}


def test_one_mark(network):
    """A mark in the middle: equal to one tracker forwards and one backwards."""
    found = follow_marks(network, FRAMES, {"it": {6: TRUTH[6]}})["it"]
    boxes = [result.box_xywh for result in found]
    assert boxes[6] == TRUTH[6]
    assert found[6].score == 1
    expected = plain(network, range(7, 16), 6) | plain(network, range(5, -1, -1), 6)
    np.testing.assert_allclose([boxes[at] for at in expected], [*expected.values()], atol=1e-3)
    assert min(map(box_iou, boxes, TRUTH)) > 0.4


def test_from_the_first_frame_it_is_the_tracker(network):
    found = follow_marks(network, FRAMES, {0: {0: TRUTH[0]}})[0]
    expected = plain(network, range(1, 16), 0)
    for at, box in expected.items():
        np.testing.assert_allclose(found[at].box_xywh, box, atol=1e-3)


def test_several_targets_and_marks(network):
    """The marks are kept; the rest follows the target; each target has its own."""
    marks = {"it": {3: TRUTH[3], 12: TRUTH[12]}, "corner": {15: (0, 0, 30, 30)}}
    found = follow_marks(network, FRAMES, marks)
    assert [len(rows) for rows in found.values()] == [16, 16]
    for name, boxes in marks.items():
        for at, box in boxes.items():
            assert found[name][at].box_xywh == box
    overlaps = [box_iou(row.box_xywh, box) for row, box in zip(found["it"], TRUTH, strict=True)]
    assert min(overlaps) > 0.4


def test_a_mark_wins(network):
    """Also a mark elsewhere: from there on it is the target."""
    elsewhere = (5.0, 5.0, 40.0, 40.0)
    found = follow_marks(network, FRAMES, {0: {0: TRUTH[0], 8: elsewhere}})[0]
    assert found[8].box_xywh == elsewhere
    assert box_iou(found[9].box_xywh, elsewhere) > 0.3
    assert box_iou(found[1].box_xywh, TRUTH[1]) > 0.4


def test_frames_are_read_lazily(network):
    """Any object with [] works; no frame before the first mark is read twice."""
    read, seen = [], []

    class Reader:
        def __getitem__(self, index):
            read.append(index)
            return FRAMES[index]

    marks = {0: {4: TRUTH[4], 6: TRUTH[6]}}
    found = follow_marks(network, Reader(), marks, seen=seen.append)[0]
    assert read == [*range(4, 17), *range(6, -1, -1)]
    assert seen == [*range(4, 16), *range(6, -1, -1)]
    assert len(found) == 16


@pytest.mark.parametrize(
    ("marks", "text"),
    [
        ({"a": {}}, "target a: needs at least one mark; frames count from 0"),
        ({"a": {-1: TRUTH[0]}}, "target a: needs at least one mark; frames count from 0"),
        ({"a": {16: TRUTH[0]}}, "a mark in frame 16: there are 16 frames"),
        ({"a": {3: (500, 0, 9, 9)}}, "target a, frame 3: box 500,0,9,9 lies outside"),
        ({"a": {0: TRUTH[0], 3: (0, 0, 0, 9)}}, "target a, frame 3: box must have a size"),
    ],
)
def test_refused(marks, text, network):
    with pytest.raises(ValueError, match=text):
        follow_marks(network, FRAMES, marks)


def test_nothing_marked(network):
    assert follow_marks(network, FRAMES, {}) == {}


def result(x, score, lost=False):
    return TrackResult((x, 0.0, 10.0, 10.0), score, lost)


def test_blend():
    """Overlapping boxes are averaged by score and place; otherwise the better one wins."""
    assert blend(result(0, 0.8), result(2, 0.8), 0.25).box_xywh == pytest.approx((0.5, 0, 10, 10))
    both = blend(result(0, 0.9), result(2, 0.3), 0.5)
    assert both.box_xywh[0] == pytest.approx(0.5)
    assert both.score == pytest.approx(0.75)
    far = result(50, 0.9)
    assert blend(result(0, 0.8), far, 0.4) == result(0, 0.8)
    assert blend(result(0, 0.8), far, 0.6) == far
    assert blend(result(0, 0.1, lost=True), far, 0.1) == far
    assert blend(far, result(0, 0.9, lost=True), 0.9) == far
    assert blend(result(0, 0.0), result(1, 0.0), 0.5) == result(0, 0.0)


def test_join():
    """Backwards results before the first mark, forwards results after the last."""
    forwards = {at: result(at, 0.5) for at in range(2, 8)}
    backwards = {at: result(at + 1, 0.5) for at in range(6)}
    rows = join(forwards, backwards, {2: (), 5: ()}, 8)
    xs = [row.box_xywh[0] for row in rows]
    assert xs == pytest.approx([1, 2, 2, 3 + 1 / 3, 4 + 2 / 3, 5, 6, 7])
