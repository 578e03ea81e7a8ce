"""A detector's boxes are tracked between its runs, as supervision's Detections."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from siamcorr import MultiTracker, build_model
from siamcorr.adaptors.supervision import SiameseTracker, match_boxes
from siamcorr.data import ClipConfig, render_clip
from siamcorr.tracking import TrackResult, box_iou

sv = pytest.importorskip("supervision")

CLIP = [*render_clip(ClipConfig(frames=12, width=160, height=120, target=40))]
RGB = [image for image, _ in CLIP]
BGR = [np.ascontiguousarray(image[:, :, ::-1]) for image in RGB]
LEFT, RIGHT, BELOW = (10.0, 20.0, 30.0, 40.0), (90.0, 20.0, 30.0, 40.0), (60.0, 80.0, 40.0, 30.0)
FRAME = BGR[0]


@pytest.fixture(scope="module")
def model():
    """It looks at colours and follows the target, even with random weights."""
    torch.manual_seed(0)
    return build_model("dcfnet")


def xyxy(boxes):
    return np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], np.float32).reshape(-1, 4)


def detected(*boxes, classes=None, scores=None, **data):
    return sv.Detections(
        xyxy(boxes),
        class_id=None if classes is None else np.array(classes),
        confidence=None if scores is None else np.array(scores, np.float32),
        data={key: np.array(values) for key, values in data.items()},
    )


NOTHING = sv.Detections.empty()


class Scripted:
    """Stands for the MultiTracker: targets stay, with the scores that a test wants."""

    def __init__(self):
        self.boxes, self.renewed, self.score, self.lost, self.count = {}, [], 0.9, False, 0

    def add(self, frame, box):
        self.boxes[self.count] = box
        self.count += 1
        return self.count - 1

    def renew(self, number, frame, box):
        assert number in self.boxes
        self.boxes[number] = box
        self.renewed.append(number)

    def remove(self, number):
        del self.boxes[number]

    def update(self, frame):
        return {n: TrackResult(box, self.score, self.lost) for n, box in self.boxes.items()}


def scripted(model, **options):
    tracker = SiameseTracker(model, **options)
    tracker._multi = Scripted()
    return tracker, tracker._multi


# what is carried on


def test_between_runs_the_boxes_are_the_trackers(model):
    boxes = [CLIP[0][1], (20.0, 70.0, 24.0, 30.0)]
    alone = MultiTracker(model)
    for box in boxes:
        alone.add(RGB[0], box)
    tracker = SiameseTracker(model)
    first = tracker.update(BGR[0], detected(*boxes))
    np.testing.assert_allclose(first.xyxy, xyxy(boxes), rtol=1e-6)
    for frame, image in zip(BGR[1:6], RGB[1:6], strict=True):
        found, expected = tracker.update(frame), [*alone.update(image).values()]
        assert found.tracker_id.tolist() == [1, 2]
        np.testing.assert_allclose(found.xyxy, xyxy([r.box_xywh for r in expected]), rtol=1e-5)
        np.testing.assert_allclose(found.confidence, [r.score for r in expected], rtol=1e-5)
    x1, y1, x2, y2 = found.xyxy[0].tolist()
    assert box_iou((x1, y1, x2 - x1, y2 - y1), CLIP[5][1]) > 0.5
    assert box_iou(CLIP[0][1], CLIP[5][1]) < 0.9  # it has moved


@pytest.mark.parametrize(("color", "frames"), [("bgr", BGR), ("rgb", RGB)])
def test_channels(model, color, frames):
    """The target's colours are in the filter, so that swapped ones would give other boxes."""
    found = []
    for given, taken in (("bgr", BGR), (color, frames)):
        tracker = SiameseTracker(model, color=given)
        tracker.update(taken[0], detected(CLIP[0][1]))
        found.append(tracker.update(taken[4]))
    np.testing.assert_array_equal(found[0].xyxy, found[1].xyxy)
    np.testing.assert_array_equal(found[0].confidence, found[1].confidence)
    swapped = SiameseTracker(model, color="rgb" if color == "bgr" else "bgr")
    swapped.update(frames[0], detected(CLIP[0][1]))
    assert swapped.update(frames[4]).confidence != found[0].confidence


def test_class_and_data_are_carried_on(model):
    tracker, _ = scripted(model)
    given = detected(
        LEFT,
        RIGHT,
        classes=[3, 7],
        scores=[0.5, 0.25],
        class_name=["cat", "dog"],
        xyxyxyxy=np.zeros((2, 4, 2)),
    )
    given.mask = np.ones((2, 120, 160), dtype=bool)
    first, second = tracker.update(FRAME, given), tracker.update(FRAME)
    for found, scores in ((first, [0.5, 0.25]), (second, [0.9, 0.9])):
        assert found.class_id.tolist() == [3, 7]
        assert found["class_name"].tolist() == ["cat", "dog"]
        assert found.tracker_id.tolist() == [1, 2]
        assert found.confidence.tolist() == pytest.approx(scores)
        assert found.mask is None
        assert [*found.data] == ["class_name"]  # oriented corners do not move along


def test_detector_without_scores_and_classes(model):
    tracker, _ = scripted(model)
    found = tracker.update(FRAME, detected(LEFT))
    assert found.class_id is None
    assert found.confidence.tolist() == [1.0]


def test_detection_corrects_its_target(model):
    """The id stays; box, class and score are the detection's, and the network looks anew."""
    tracker, multi = scripted(model)
    tracker.update(FRAME, detected(LEFT, RIGHT, classes=[1, 2], scores=[0.5, 0.5]))
    moved = (95.0, 22.0, 30.0, 40.0)
    found = tracker.update(
        FRAME, detected(BELOW, moved, LEFT, classes=[9, 8, 1], scores=[0.4, 0.3, 0.2])
    )
    assert found.tracker_id.tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.xyxy, xyxy([LEFT, moved, BELOW]))
    assert found.class_id.tolist() == [1, 8, 9]
    assert found.confidence.tolist() == pytest.approx([0.2, 0.3, 0.4])
    assert sorted(multi.renewed) == [0, 1]
    assert multi.boxes == {0: LEFT, 1: moved, 2: BELOW}


# who belongs to whom


A, B = (0.0, 0.0, 10.0, 10.0), (6.0, 0.0, 10.0, 10.0)
MATCHES = {
    "none": ([], [A], {}),
    "nothing found": ([A], [], {}),
    "crossed": ([A, B], [B, A], {0: 1, 1: 0}),
    "apart": ([A], [(50, 50, 10, 10)], {}),
    "too little": ([A], [(6, 0, 10, 10)], {}),  # 4/16
    "just enough": ([A], [(5, 0, 10, 10)], {0: 0}),  # 5/15
    "two detections, one target": ([A], [(3, 0, 10, 10), (1, 0, 10, 10)], {1: 0}),
    "the sum counts": ([A, (2, 0, 10, 10)], [(1, 0, 10, 10), (4, 0, 10, 10)], {0: 0, 1: 1}),
    # The pairs that overlap enough are not given up for two that do so only together.
    "hopeless pairs do not count": ([A, (5, 0, 10, 10)], [(5, 0, 10, 10), (10, 0, 9, 9)], {0: 1}),
}


@pytest.mark.parametrize(("boxes", "found", "expected"), MATCHES.values(), ids=MATCHES)
def test_match_boxes(boxes, found, expected):
    assert match_boxes(boxes, detected(*found), 0.3) == expected


# who goes


def test_target_that_the_detector_no_longer_finds(model):
    tracker, multi = scripted(model, max_missed=2)
    tracker.update(FRAME, detected(LEFT, RIGHT))
    for _ in range(5):
        assert len(tracker.update(FRAME)) == 2  # the detector did not look
    seen = [tracker.update(FRAME, found) for found in (detected(RIGHT), detected(LEFT, RIGHT))]
    assert [found.tracker_id.tolist() for found in seen] == [[1, 2], [1, 2]]
    seen = [tracker.update(FRAME, detected(RIGHT)) for _ in range(2)]
    assert [found.tracker_id.tolist() for found in seen] == [[1, 2], [2]]
    assert [*multi.boxes] == [1]
    assert tracker.update(FRAME, detected(LEFT, RIGHT)).tracker_id.tolist() == [2, 3]


def test_a_run_without_detections_counts(model):
    tracker, multi = scripted(model, max_missed=2)
    tracker.update(FRAME, detected(LEFT))
    assert len(tracker.update(FRAME, NOTHING)) == 1
    left = tracker.update(FRAME, NOTHING)
    assert len(left) == 0
    assert left.tracker_id.tolist() == []
    assert not multi.boxes


@pytest.mark.parametrize("how", ["preset", "score"])
def test_lost_target_is_left_out_then_dropped(model, how):
    tracker, multi = scripted(model, max_lost=3, lost_below=0.6)
    lost = {"lost": True} if how == "preset" else {"score": 0.59}
    sight = {"lost": False, "score": 0.6}
    tracker.update(FRAME, detected(LEFT))
    for state, count in ((lost, 0), (lost, 0), (sight, 1), (lost, 0), (lost, 0)):
        vars(multi).update(state)
        assert len(tracker.update(FRAME)) == count
    assert len(multi.boxes) == 1
    found = tracker.update(FRAME, detected(LEFT))  # found by the detector, it is in sight
    assert found.tracker_id.tolist() == [1]
    for _ in range(3):
        assert len(tracker.update(FRAME)) == 0
    assert not multi.boxes


def test_reset(model):
    tracker = SiameseTracker(model)
    tracker.update(FRAME, detected(LEFT, RIGHT))
    tracker.reset()
    assert len(tracker.update(FRAME[:100])) == 0
    assert tracker.update(FRAME[:100], detected(RIGHT)).tracker_id.tolist() == [1]


def test_detections_without_a_place_are_left_out(model):
    given = detected((-50, 10, 20, 20), LEFT, (10, 10, 0, 20), (160, 10, 9, 9), (-9, -9, 20, 20))
    found = SiameseTracker(model).update(FRAME, given)
    np.testing.assert_allclose(found.xyxy, xyxy([LEFT, (-9, -9, 20, 20)]))


# with supervision's own


def test_annotators_draw(model):
    tracker = SiameseTracker(model)
    box, trace, label = sv.BoxAnnotator(thickness=1), sv.TraceAnnotator(), sv.LabelAnnotator()
    for index, frame in enumerate(BGR[:6]):
        given = detected(CLIP[0][1], classes=[4], class_name=["ball"]) if index == 0 else None
        found = tracker.update(frame, given)
        labels = [
            f"#{number} {name}"
            for number, name in zip(found.tracker_id, found["class_name"], strict=True)
        ]
        boxed = box.annotate(frame.copy(), found)
        traced = trace.annotate(frame.copy(), found)
        named = label.annotate(frame.copy(), found, labels)
    assert labels == ["#1 ball"]
    rows, columns = np.nonzero((boxed != BGR[5]).any(axis=2))
    drawn = columns.min(), rows.min(), columns.max(), rows.max()
    assert drawn == pytest.approx(found.xyxy[0].tolist(), abs=2)
    assert (traced != BGR[5]).any()
    assert (named != BGR[5]).any()
    for annotator in (box, trace):  # nothing in sight
        empty = SiameseTracker(model).update(BGR[5])
        np.testing.assert_array_equal(annotator.annotate(BGR[5].copy(), empty), BGR[5])


# what goes wrong


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"min_iou": 0}, "min_iou must be in (0, 1], lost_below in 0..1, got 0 and 0"),
        ({"lost_below": 2}, "min_iou must be in (0, 1], lost_below in 0..1, got 0.3 and 2"),
        ({"max_missed": 0}, "max_missed and max_lost must be >= 1, got 0 and 30"),
        ({"max_lost": 0}, "max_missed and max_lost must be >= 1, got 3 and 0"),
        ({"color": "grey"}, "color must be bgr or rgb, got 'grey'"),
    ],
)
def test_options_are_checked(options, text):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        SiameseTracker(SimpleNamespace(), **options)
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("frame", "given", "error", "text"),
    [
        (FRAME, np.zeros((1, 4)), TypeError, "must be supervision.Detections, got ndarray"),
        (FRAME.astype(float), None, TypeError, "frame must be a uint8 array"),
        (FRAME[:, :, 0], None, ValueError, r"frame must be \(H, W, 3\)"),
        (FRAME[:100], None, ValueError, r"frame is \(100, 160, 3\), but the first one was"),
    ],
)
def test_input_is_checked(model, frame, given, error, text):
    tracker = SiameseTracker(model)
    tracker.update(FRAME, detected(LEFT))
    with pytest.raises(error, match=text):
        tracker.update(frame, given)
    assert tracker.update(FRAME).tracker_id.tolist() == [1]


def test_runs_with_other_fields(model):
    tracker, _ = scripted(model)
    tracker.update(FRAME, detected(LEFT, classes=[1]))
    with pytest.raises(ValueError, match="'class_id'"):
        tracker.update(FRAME, detected(RIGHT))


def test_not_installed(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ValueError, match=r"supervision.*: pip install 'siamcorr\[eval\]'$"):
        SiameseTracker(model)
