"""The tracker: geometry with a perfect network, contracts, and real video."""

import copy
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch

from siamcorr import Tracker, build_model
from siamcorr.data import ClipConfig, render_clip
from siamcorr.layers import Prediction
from siamcorr.tracking import box_around, box_iou

CLIP = [*render_clip(ClipConfig(frames=12, width=320, height=240, target=60))]


class PerfectTracker(Tracker):
    """A tracker whose network returns the ground truth: the box `truth`."""

    truth: tuple[float, float, float, float]

    def __init__(self, model):
        super().__init__(model, optimize=False)
        self.runner.tensor = partial(self.seen, self.runner.tensor)

    def seen(self, tensor, crops):
        self.last_crop = crops[0]
        return tensor(crops)

    def answer(self, image, template):
        crop, (x, y, w, h) = self.last_crop, self.truth
        stride, cells = self.recipe.config.stride, 16
        grid = 127.5 + stride * (torch.arange(cells) - cells // 2)
        left, top = (x - crop.left) * crop.scale, (y - crop.top) * crop.scale
        px, py = grid[None, :].expand(cells, cells), grid[:, None].expand(cells, cells)
        sides = [px - left, py - top, left + w * crop.scale - px, top + h * crop.scale - py]
        inside = torch.stack(sides).min(dim=0).values > 0
        logits = torch.stack([torch.zeros(cells, cells), torch.where(inside, 20.0, -20.0)])
        return Prediction(logits[None], torch.stack(sides)[None])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("nanotrack-v2")


@pytest.mark.parametrize("box", [(100, 80, 60, 40), (100.3, 80.6, 61.2, 40.7), (5, 150, 33, 70)])
def test_a_perfect_response_gives_back_the_same_box(model, box, monkeypatch):
    """No drift: neither from centre conventions nor from the rounding of crops."""
    tracker = PerfectTracker(model)
    frame = CLIP[0][0]
    tracker.init(frame, box)
    assert tracker.box_xywh == pytest.approx(box)
    monkeypatch.setattr(model, "search", tracker.answer)
    tracker.truth = box
    for _ in range(5):
        assert tracker.update(frame).box_xywh == pytest.approx(box, abs=1e-3)


def test_a_perfect_network_tracks_the_target(model, monkeypatch):
    tracker = PerfectTracker(model)
    tracker.init(*CLIP[0])
    monkeypatch.setattr(model, "search", tracker.answer)
    for image, box in CLIP[1:]:
        tracker.truth = box
        assert box_iou(tracker.update(image).box_xywh, box) > 0.9


def test_response_on_request(model):
    tracker = Tracker(model)
    tracker.init(*CLIP[0])
    assert tracker.update(CLIP[1][0]).response is None
    result = tracker.update(CLIP[2][0], response=True)
    assert result.response.shape == (16, 16)
    assert 0 <= result.response.min() <= result.score <= result.response.max() <= 1


def test_two_trackers_share_a_network(model):
    alone = Tracker(model)
    alone.init(*CLIP[0])
    expected = [alone.update(image).box_xywh for image, _ in CLIP[1:5]]
    one, other = Tracker(model), Tracker(model)
    one.init(*CLIP[0])
    other.init(CLIP[0][0], (10, 10, 30, 30))
    for (image, _), box in zip(CLIP[1:5], expected, strict=True):
        other.update(image)
        assert one.update(image).box_xywh == box


def test_box_stays_in_bounds(model):
    """With a random network the box wanders, but its centre stays in the frame."""
    tracker = Tracker(model)
    tracker.init(CLIP[0][0], (310, 230, 50, 50))
    for image, _ in CLIP:
        x, y, w, h = tracker.update(image).box_xywh
        assert 0 <= x + w / 2 <= 320
        assert 0 <= y + h / 2 <= 240
        assert 10 <= w <= 320
        assert 10 <= h <= 240


def test_the_box_stays_while_the_score_is_below_lost_below(nanotrack):
    """On black frames it neither moves nor grows."""
    tracker = Tracker(nanotrack)
    tracker.init(*CLIP[0])
    before = tracker.update(CLIP[1][0]).box_xywh
    for _ in range(20):
        result = tracker.update(np.zeros_like(CLIP[0][0]))
        assert result.lost
        assert result.box_xywh == pytest.approx(before)


@pytest.mark.parametrize("hold_below", [0.01, 0.99])
def test_hold_below_decides_whether_the_box_stays(hold_below, model):
    """Lost it is by lost_below in both cases."""
    recipe = replace(model.preset.recipe, lost_below=1.0, found_above=1.0, hold_below=hold_below)
    network = copy.deepcopy(model)
    network.preset = replace(model.preset, recipe=recipe)
    tracker = Tracker(network)
    tracker.init(*CLIP[0])
    result = tracker.update(CLIP[1][0])
    assert result.lost
    stays = result.box_xywh == pytest.approx(CLIP[0][1], abs=1e-6)
    assert stays == (result.score < hold_below)


def test_errors(model):
    tracker, frame = Tracker(model), CLIP[0][0]
    with pytest.raises(RuntimeError, match="call init"):
        tracker.update(frame)
    with pytest.raises(TypeError, match="uint8 array"):
        tracker.init(frame.astype(np.float32), (1, 1, 9, 9))
    with pytest.raises(ValueError, match=r"\(H, W, 3\), got \(240, 320\)"):
        tracker.init(frame[:, :, 0], (1, 1, 9, 9))
    with pytest.raises(ValueError, match="outside the 320x240 frame"):
        tracker.init(frame, (400, 1, 9, 9))
    tracker.init(frame, (1, 1, 9, 9))
    with pytest.raises(ValueError, match=r"frame is \(120, 320, 3\), but the first one was"):
        tracker.update(frame[:120])


def read_frames(path, count):
    capture = cv2.VideoCapture(str(path))
    return [capture.read()[1] for _ in range(count)]


@pytest.mark.video
@pytest.mark.parametrize(("name", "file"), [("bag", "bag.avi"), ("iceskater1", "iceskater1.mp4")])
def test_real_video_beside_opencv(name, file, nanotrack, shared):
    """The first 100 frames: at most 0.015 under OpenCV's tracker with the same weights."""
    folder = shared / "sequences" / name
    lines = (folder / "groundtruth.txt").read_text().splitlines()[:100]
    truth = [box_around([float(value) for value in line.split(",")]) for line in lines]
    frames = read_frames(folder / file, 100)

    params = cv2.TrackerNano.Params()
    onnx = shared / "weights" / "nanotrackv2_onnx"
    params.backbone = str(onnx / "nanotrack_backbone_sim.onnx")
    params.neckhead = str(onnx / "nanotrack_head_sim.onnx")
    peer, tracker = cv2.TrackerNano.create(params), Tracker(nanotrack)
    peer.init(frames[0], [round(value) for value in truth[0]])
    tracker.init(np.ascontiguousarray(frames[0][:, :, ::-1]), truth[0])
    ours, theirs = [1.0], [1.0]
    for frame, box in zip(frames[1:], truth[1:], strict=True):
        ours.append(box_iou(tracker.update(np.ascontiguousarray(frame[:, :, ::-1])).box_xywh, box))
        theirs.append(box_iou(peer.update(frame)[1], box))
    assert np.mean(ours) > 0.73
    assert np.mean(ours) >= np.mean(theirs) - 0.015
    assert min(ours) > 0.3  # never lost
