"""Over TraX, with its own client, our trackers return the same boxes."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from siamcorr import Tracker, build_model
from siamcorr.adaptors import vot
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import for_inference, load_preset

trax = pytest.importorskip("trax")
client = pytest.importorskip("trax.client")

CLIP = [*render_clip(ClipConfig(frames=5, width=160, height=120, target=40))]


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(len(CLIP))]
    for path, (image, _) in zip(paths, CLIP, strict=True):
        cv2.imwrite(str(path), image[:, :, ::-1])
    return paths


@pytest.fixture
def model():
    """It looks at colours and follows the target, even with random weights."""
    torch.manual_seed(0)
    return build_model("dcfnet")


@pytest.fixture
def server(model, tmp_path):
    """The program that the toolkit starts, with weights that it finds by itself."""
    torch.save(model.state_dict(), tmp_path / load_preset("dcfnet").weights.file)
    process = subprocess.Popen(
        [sys.executable, "-m", "siamcorr.adaptors.vot", "dcfnet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"SIAMCORR_WEIGHTS": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    yield process
    process.kill()
    process.communicate()


def connect(process):
    # It needs a log: without one it ends in an error of its own.
    streams = process.stdin.fileno(), process.stdout.fileno()
    return client.Client(streams, log=lambda text: None)


def images(path):
    return {"color": trax.FileImage.create(str(path))}


def initialize(toolkit, path, box):
    return toolkit.initialize(images(path), [(trax.Rectangle.create(*box), {})], {})


def answer(response):
    """The box of the one object in a response."""
    (((region, _),), _) = response
    return region.bounds()


def tracked(model, start):
    """What our tracker says of the clip from a frame on."""
    tracker = Tracker(for_inference(model))
    tracker.init(*CLIP[start])
    return [CLIP[start][1], *(tracker.update(image).box_xywh for image, _ in CLIP[start + 1 :])]


def test_same_boxes_as_our_tracker(files, server, model):
    """From the first frame, and, as the toolkit does after failures, from a later one."""
    expected = {start: tracked(model, start) for start in (0, 2)}
    toolkit = connect(server)
    assert toolkit.region_formats == ["rectangle"]
    assert toolkit.image_formats == ["path"]
    for start, boxes in expected.items():
        found = [answer(initialize(toolkit, files[start], CLIP[start][1]))]
        found += [answer(toolkit.frame(images(path), {}, [])) for path in files[start + 1 :]]
        np.testing.assert_allclose(found, boxes, rtol=0, atol=2e-3)  # it sends few digits
        assert np.ptp(found, axis=0).max() > 1
    toolkit.quit()
    assert server.wait(30) == 0


def test_unreadable_image(files, server, tmp_path):
    toolkit = connect(server)
    initialize(toolkit, files[0], CLIP[0][1])
    with pytest.raises(trax.TraxException, match=r"none\.png: cannot be read"):
        toolkit.frame(images(tmp_path / "none.png"), {}, [])
    assert server.wait(30) != 0


def test_default_model(monkeypatch):
    asked = []
    monkeypatch.setattr(vot, "find_weights", lambda preset: asked.append(preset.name))
    monkeypatch.setattr(vot, "serve", lambda tracker: asked.append(tracker.model.preset.name))
    monkeypatch.setattr(sys, "argv", ["vot"])
    vot.main()
    monkeypatch.setattr(sys, "argv", ["vot", "nanotrack-v1"])
    vot.main()
    assert asked == ["nanotrack-v2"] * 2 + ["nanotrack-v1"] * 2
