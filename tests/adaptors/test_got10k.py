"""In the got10k toolkit, our trackers give the same boxes and scores."""

import json
import warnings

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from siamcorr import Tracker, build_model
from siamcorr.adaptors.got10k import got10k_tracker
from siamcorr.data import ClipConfig, find_sequences, render_clip
from siamcorr.evaluation import mean_scores, score

trackers = pytest.importorskip("got10k.trackers")
experiments = pytest.importorskip("got10k.experiments")
datasets = pytest.importorskip("got10k.datasets")

NAMES = ["Coke", "Deer"]


@pytest.fixture(scope="module")
def model():
    """It looks at colours and follows the target, even with random weights."""
    torch.manual_seed(0)
    return build_model("dcfnet")


@pytest.fixture
def root(tmp_path):
    """Two sequences of OTB, and empty folders for the others: what is there is not downloaded."""
    folder = tmp_path / "OTB"
    for name in datasets.OTB._OTB__version_dict[2013]:
        (folder / name).mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        (folder / name / "img").mkdir()
        config = ClipConfig(frames=6, width=160, height=120, target=40, seed=seed)
        boxes = []
        for number, (image, box) in enumerate(render_clip(config), 1):
            cv2.imwrite(str(folder / name / "img" / f"{number:04d}.jpg"), image[:, :, ::-1])
            boxes.append(box)
        np.savetxt(folder / name / "groundtruth_rect.txt", boxes, fmt="%.2f", delimiter=",")
    return folder


def own_boxes(model, files, box):
    tracker = Tracker(model)
    frames = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    tracker.init(frames[0], box)
    return np.array([box, *(tracker.update(frame).box_xywh for frame in frames[1:])])


def test_in_an_experiment(model, root, tmp_path, capsys):
    folders = str(tmp_path / "results"), str(tmp_path / "reports")
    experiment = experiments.ExperimentOTB(str(root), 2013, *folders)
    experiment.run(got10k_tracker(model))
    sequences = find_sequences(root)
    assert [sequence.name for sequence in sequences] == experiment.dataset.seq_names == NAMES
    scores = []
    for sequence in sequences:
        record = tmp_path / "results" / "OTB2013" / "dcfnet" / f"{sequence.name}.txt"
        boxes = np.loadtxt(record, delimiter=",")
        expected = own_boxes(model, sequence.frames, sequence.boxes[0])
        np.testing.assert_allclose(boxes, expected, rtol=0, atol=6e-4)  # it writes three digits
        assert np.abs(boxes - boxes[0]).max() > 2
        boxes[0] = sequence.boxes[0]
        scores.append(score(boxes, sequence.boxes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its plots
        experiment.report(["dcfnet"])
    report = tmp_path / "reports" / "OTB2013" / "dcfnet" / "performance.json"
    overall = json.loads(report.read_text())["dcfnet"]["overall"]
    found, close = mean_scores(scores), {"rtol": 0, "atol": 1e-12}
    assert found.success == pytest.approx(overall["success_score"], abs=1e-12)
    assert found.precision == pytest.approx(overall["precision_score"], abs=1e-12)
    np.testing.assert_allclose(found.success_curve, overall["success_curve"], **close)
    np.testing.assert_allclose(found.precision_curve, overall["precision_curve"], **close)


def test_grey_images(model):
    """GOT-10k and OTB have some."""
    clip = [*render_clip(ClipConfig(frames=3, width=160, height=120, target=40))]
    grey = [Image.fromarray(image).convert("L") for image, _ in clip]
    tracker, adaptor = Tracker(model), got10k_tracker(model)
    tracker.init(np.dstack([grey[0]] * 3), clip[0][1])
    adaptor.init(grey[0], np.array(clip[0][1]))
    for image in grey[1:]:
        box = adaptor.update(image)
        assert box.tolist() == list(tracker.update(np.dstack([image] * 3)).box_xywh)


def test_interface_of_the_toolkit(model):
    adaptor, named = got10k_tracker(model), got10k_tracker(model, name="mine")
    assert isinstance(adaptor, trackers.Tracker)
    assert (adaptor.name, named.name) == ("dcfnet", "mine")
    assert adaptor.is_deterministic is True
