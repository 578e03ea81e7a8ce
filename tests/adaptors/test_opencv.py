"""Our trackers with OpenCV's interface, and OpenCV's with ours."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from siamcorr import Tracker, build_model
from siamcorr.adaptors.opencv import OpenCVTracker, Peer
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import assemble, load_preset
from siamcorr.tracking.boxes import box_iou

CLIP = [*render_clip(ClipConfig(frames=10, width=160, height=120, target=40))]
RGB = [image for image, _ in CLIP]
BGR = [np.ascontiguousarray(image[:, :, ::-1]) for image in RGB]
START = CLIP[0][1]


@pytest.fixture
def model():
    """It looks at colours and follows the target, even with random weights."""
    torch.manual_seed(0)
    return build_model("dcfnet")


def lost_below(limit):
    torch.manual_seed(0)
    preset = load_preset("nanotrack-v2")
    return assemble(replace(preset, recipe=replace(preset.recipe, lost_below=limit)))


def follow(tracker, frames, box):
    """As people write it for any of OpenCV's trackers."""
    tracker.init(frames[0], box)
    answers = []
    for frame in frames[1:]:
        ok, found = tracker.update(frame)
        x, y, w, h = found
        answers.append((ok, (x, y, w, h)))
    return answers


# ours as OpenCV's


def test_same_boxes_as_our_tracker(model):
    tracker, wrapped = Tracker(model), OpenCVTracker(model)
    tracker.init(RGB[0], START)
    wrapped.init(BGR[0], START)
    for rgb, bgr in zip(RGB[1:], BGR[1:], strict=True):
        expected = tracker.update(rgb)
        assert wrapped.update(bgr) == (True, expected.box_xywh)
        assert wrapped.getTrackingScore() == expected.score
    assert 0 < expected.score < 1
    assert box_iou(expected.box_xywh, START) < 0.7 < box_iou(expected.box_xywh, CLIP[-1][1])


@pytest.mark.parametrize(("limit", "ok"), [(0.0, True), (1.0, False)])
def test_ok_is_false_where_the_target_is_lost(limit, ok):
    (answer,) = follow(OpenCVTracker(lost_below(limit)), BGR[:2], START)
    assert answer[0] is ok
    assert len(answer[1]) == 4


@pytest.mark.parametrize("kind", ["ours", "theirs"])
def test_one_loop_for_both(model, kind):
    tracker = OpenCVTracker(model) if kind == "ours" else cv2.TrackerMIL.create()
    answers = follow(tracker, BGR[:4], [round(value) for value in START])
    assert [type(ok) for ok, _ in answers] == [bool] * 3
    assert np.isfinite([box for _, box in answers]).all()


def test_names_are_opencvs(model):
    tracker = OpenCVTracker(model)
    assert tracker.init(image=BGR[0], boundingBox=START) is None
    assert tracker.getTrackingScore() == 0.0
    assert len(tracker.update(image=BGR[1])) == 2
    # mil has no score; trackers that have one call it so.
    assert {"init", "update", "getTrackingScore"} <= set(dir(cv2.TrackerVit)) & set(dir(tracker))


# OpenCV's as ours


def test_peer_follows():
    peer = Peer("mil")
    peer.init(RGB[0], START)
    results = [peer.update(frame) for frame in RGB[1:]]
    ious = [box_iou(r.box_xywh, box) for r, (_, box) in zip(results, CLIP[1:], strict=True)]
    assert np.mean(ious) > 0.3
    assert [type(value) for value in results[0].box_xywh] == [float] * 4
    assert [result.lost for result in results] == [False] * 9


class Script:
    """Stands for OpenCV's part, and keeps what it is given."""

    def __init__(self, *answers):
        self.answers, self.given = iter(answers), []

    def init(self, image, box):
        self.given.append((image, box))

    def update(self, image):
        self.given.append((image, None))
        return next(self.answers)


def scripted(*answers):
    peer = Peer("mil")
    peer._peer = Script(*answers)
    return peer


def test_peer_swaps_colours_and_rounds_the_box():
    peer = scripted((True, (1, 2, 3, 4)))
    peer.init(RGB[0], (23.5, 27.1, 39.6, 28))
    assert peer.update(RGB[1]) == ((1.0, 2.0, 3.0, 4.0), False)
    (first, box), (second, _) = peer._peer.given
    assert list(box) == [24, 27, 40, 28]
    np.testing.assert_array_equal((first, second), BGR[:2])


def test_peer_failure_keeps_the_last_box():
    peer = scripted((False, (0, 0, 0, 0)), (True, (1, 2, 3, 4)), (False, (9, 9, 9, 9)))
    peer.init(RGB[0], (23.5, 27.25, 40, 28))
    found = [peer.update(frame) for frame in RGB[1:4]]
    assert [result.box_xywh for result in found] == [(23.5, 27.25, 40, 28), *[(1, 2, 3, 4)] * 2]
    assert [result.lost for result in found] == [True, False, True]


def test_peer_raises_value_error():
    """cv2.error is no ValueError, and would end an evaluation."""
    with pytest.raises(ValueError, match=r"^opencv:mil: .*posSamples"):
        Peer("mil").init(RGB[0], (500, 500, 20, 20))

    def fail(image):
        raise cv2.error("no such frame")

    peer = scripted()
    peer._peer.update = fail
    with pytest.raises(ValueError, match=r"^opencv:mil: no such frame"):
        peer.update(RGB[1])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("goturn", "opencv:goturn: OpenCV has no such tracker, only csrt, kcf, mil, nano, vit"),
        ("", "opencv:: OpenCV has no such tracker"),
        ("csrt", "opencv:csrt: this OpenCV has no TrackerCSRT; opencv-contrib-python may"),
        ("kcf", "opencv:kcf: this OpenCV has no TrackerKCF"),
        ("nano", "no nanotrack_backbone_sim.onnx, nanotrack_head_sim.onnx in "),
        ("vit", "opencv:vit: no vitTracker.onnx in "),
    ],
)
def test_peer_errors(tmp_path, monkeypatch, name, text):
    for kind in ("TrackerCSRT", "TrackerKCF", "legacy"):
        monkeypatch.delattr(cv2, kind, raising=False)
    with pytest.raises(ValueError, match=f"^{text}|^opencv:.*{text}"):
        Peer(name, tmp_path)


def test_peer_names_only_the_files_that_are_missing(tmp_path):
    (tmp_path / "nanotrack_backbone_sim.onnx").touch()
    with pytest.raises(ValueError, match=r"^opencv:nano: no nanotrack_head_sim.onnx in "):
        Peer("nano", tmp_path)


def test_peer_of_contrib(monkeypatch):
    """Where it is in cv2, and where it is in cv2.legacy."""
    made = SimpleNamespace(create=lambda: "made")
    monkeypatch.delattr(cv2, "TrackerKCF", raising=False)
    monkeypatch.setattr(cv2, "TrackerCSRT", made, raising=False)
    monkeypatch.setattr(cv2, "legacy", SimpleNamespace(TrackerKCF=made), raising=False)
    assert Peer("csrt")._peer == Peer("kcf")._peer == "made"


@pytest.mark.video
def test_nano_with_published_graphs(shared):
    clip = [*render_clip(ClipConfig(frames=12))]
    peer = Peer("nano", shared / "weights" / "nanotrackv2_onnx")
    peer.init(*clip[0])
    ious = [box_iou(peer.update(image).box_xywh, box) for image, box in clip[1:]]
    assert np.mean(ious) > 0.5
