"""Boxes between marks, by a tracker."""

from dataclasses import replace

import numpy as np
import pytest

from siamcorr import build_model
from siamcorr.data import ClipConfig, render_clip
from siamcorr.data.annotation import follow_between
from siamcorr.data.annotation.follow_between import Filling
from siamcorr.data.annotation.keyframes import ABSENT, Mark, interpolate
from siamcorr.media import write_image
from siamcorr.models import find_weights, load_preset
from siamcorr.tracking import TrackResult, box_iou

CLIP = [*render_clip(ClipConfig(frames=14, width=240, height=180, target=50))]
TRUTH = [box for _, box in CLIP]


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    paths = [folder / f"{number:03}.png" for number in range(len(CLIP))]
    for path, (image, _) in zip(paths, CLIP, strict=True):
        write_image(path, image)
    return paths


@pytest.fixture(scope="module")
def network():
    return build_model("siamcorr-lite", find_weights(load_preset("siamcorr-lite")))


def test_boxes_are_tracked_not_interpolated(network, frames):
    """Marks are kept; between them, boxes follow the target instead of a straight line."""
    marks = {0: Mark(TRUTH[0]), 13: Mark(TRUTH[13])}
    boxes = Filling(network, frames).boxes(marks)
    straight = interpolate(marks, 14)
    for frame in marks:
        assert tuple(boxes[frame]) == TRUTH[frame]
    ours, line = (
        [box_iou(b, t) for b, t in zip(rows, TRUTH, strict=True)] for rows in (boxes, straight)
    )
    assert np.mean(ours) > np.mean(line)
    assert min(ours) > 0.4


def test_no_boxes_next_to_an_absence(network, frames):
    marks = {0: Mark(TRUTH[0]), 4: Mark(TRUTH[4]), 9: ABSENT, 13: Mark(TRUTH[13])}
    boxes = Filling(network, frames).boxes(marks)
    known = np.isfinite(boxes[:, 0])
    assert known.tolist() == [True] * 5 + [False] * 8 + [True]


def told(scores, box=(10.0, 10.0, 20.0, 20.0)):
    """Replaces the tracker; gives these scores between the marks."""

    def follow(_, images, marks):
        told.calls += 1
        (boxes,) = marks.values()
        count = max(boxes) + 1
        return {"target": [TrackResult(box, scores[at % len(scores)]) for at in range(count)]}

    told.calls = 0
    return follow


def test_unsure(network, frames, monkeypatch):
    """The frame with the lowest score comes first; marked frames are not asked again."""
    sure = network.preset.recipe.found_above
    monkeypatch.setattr(
        follow_between, "follow_marks", told([1, 1, sure - 0.1, sure, sure - 0.3, 1])
    )
    marks = {0: Mark(TRUTH[0]), 5: Mark(TRUTH[5]), 6: Mark(TRUTH[6])}
    fill = Filling(network, frames)
    assert fill.unsure(marks) == (4, Mark((10, 10, 20, 20)))
    marks[4] = Mark(TRUTH[4])
    assert fill.unsure(marks) == (2, Mark((10, 10, 20, 20)))
    marks[2] = Mark(TRUTH[2])
    assert fill.unsure(marks) is None
    assert fill.unsure({}) is None


def test_each_stretch_is_tracked_once(network, frames, monkeypatch):
    """Results between two unchanged marks are cached."""
    monkeypatch.setattr(follow_between, "follow_marks", told([1.0]))
    fill = Filling(network, frames)
    marks = {0: Mark(TRUTH[0]), 6: Mark(TRUTH[6]), 12: Mark(TRUTH[12])}
    fill.boxes(marks)
    fill.unsure(marks)
    assert told.calls == 2
    fill.boxes({**marks, 9: Mark(TRUTH[9])})
    assert told.calls == 4
    fill.boxes({**marks, 6: Mark(TRUTH[5])})
    assert told.calls == 6


def test_boxes_stay_inside_the_frame(network, frames, monkeypatch):
    """A box outside the frame is replaced by the interpolated one, also in the guess."""
    marks = {0: Mark(TRUTH[0]), 4: Mark(TRUTH[0])}
    monkeypatch.setattr(follow_between, "follow_marks", told([0.0], (-15.0, 160.0, 30.0, 40.0)))
    fill = Filling(network, frames)
    assert tuple(fill.boxes(marks)[2]) == (0, 160, 15, 20)
    monkeypatch.setattr(follow_between, "follow_marks", told([0.0], (500.0, 0.0, 30.0, 40.0)))
    fill = Filling(network, frames)
    assert tuple(fill.boxes(marks)[2]) == pytest.approx(TRUTH[0])
    assert fill.unsure(marks)[1].box_xywh == pytest.approx(TRUTH[0])


def test_preset_without_lost_below(network, frames, monkeypatch):
    """A network without `lost_below` is never unsure."""
    recipe = replace(network.preset.recipe, lost_below=0.0, found_above=0.0)
    monkeypatch.setattr(network, "preset", replace(network.preset, recipe=recipe))
    monkeypatch.setattr(follow_between, "follow_marks", told([0.0]))
    assert Filling(network, frames).unsure({0: Mark(TRUTH[0]), 4: Mark(TRUTH[4])}) is None
