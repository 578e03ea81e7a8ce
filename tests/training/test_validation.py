"""Validation: the clips that select a run's best epoch, and the mean overlap on them."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from siamcorr.data.synthetic.library import Library
from siamcorr.training import validation
from siamcorr.training.config import DataConfig
from siamcorr.training.validation import (
    Clip,
    marked_clips,
    mean_overlaps,
    rendered_clips,
    sequence_clips,
)


def test_backwards_from_the_last_marked_frame(tmp_path):
    folder = tmp_path / "cup"
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f"{index:04}.png"), np.full((60, 80, 3), index, np.uint8))
    lines = ["10,10,20,20", "11,10,20,20", "12,10,20,20", "nan,nan,nan,nan"]
    (folder / "groundtruth.txt").write_text("\n".join(lines))
    _, backwards = sequence_clips([str(tmp_path)])
    assert [box[0] for box in backwards.boxes] == [12, 11, 10]
    assert [int(frame[0, 0, 0]) for frame in backwards.frames] == [2, 1, 0]


def test_rendered_clips(pictures):
    held_out, config = Library([pictures], held_out=True), DataConfig((), clips=2, clip_frames=3)
    clips = rendered_clips(held_out, config)
    assert [clip.name for clip in clips] == ["scene 0", "scene 1"]
    for clip, again in zip(clips, rendered_clips(held_out, config), strict=True):
        assert [frame.shape for frame in clip.frames] == [(360, 480, 3)] * 3
        assert clip.boxes == again.boxes
        np.testing.assert_array_equal(clip.frames, again.frames)
    assert clips[0].boxes != clips[1].boxes


def test_marked_clips(tmp_path):
    """Each of three frames is gray in its own way; the second one is not marked."""
    (tmp_path / "cup").mkdir()
    for index in range(3):
        cv2.imwrite(str(tmp_path / "cup" / f"{index}.png"), np.full((20, 30, 3), index, np.uint8))
    table = tmp_path / "clips.csv"
    table.write_text("clip,frame,x,y,w,h\ncup,0,1,2,3,4\ncup,2,5,6,7.5,8\n")
    (clip,) = marked_clips(table, tmp_path)
    assert clip.name == "cup"
    assert [int(frame[0, 0, 0]) for frame in clip.frames] == [0, 1, 2]
    assert clip.boxes == [(1, 2, 3, 4), None, (5, 6, 7.5, 8)]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("clip,frame,x,y,w,h\ncup,1,1,2,3,4\n", "the first frame of cup is not marked"),
        ("clip,frame,x,y,w\ncup,0,1,2,3\n", "no clip, frame, x, y, w, h in"),
        ("clip,frame,x,y,w,h\ncup,0,1,2,x,4\n", "no clip, frame, x, y, w, h in"),
        ("clip,frame,x,y,w,h\nmug,0,1,2,3,4\n", "mug: no such file"),
    ],
)
def test_marks_that_do_not_fit(content, text, tmp_path):
    (tmp_path / "cup").mkdir()
    cv2.imwrite(str(tmp_path / "cup" / "0.png"), np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "clips.csv").write_text(content)
    with pytest.raises((OSError, ValueError), match=text):
        marked_clips(tmp_path / "clips.csv", tmp_path)


class FakeTracker:
    """Finds whatever stands in the frame."""

    def __init__(self, network, optimize=True):
        self.started = None

    def init(self, frame, box):
        self.started = box

    def update(self, frame):
        assert self.started == (0, 0, 10, 10)
        return SimpleNamespace(box_xywh=frame)


def test_mean_overlap(monkeypatch):
    """Frames that are not marked, and targets without an area, do not count."""
    monkeypatch.setattr(validation, "Tracker", FakeTracker)
    here, half, none = (0, 0, 10, 10), (0, 0, 10, 5), (0, 0, 0, 0)
    clips = [
        Clip("a", [None, here, half, half], [here, here, None, here]),
        Clip("b", [None, half, here], [here, none, here]),
        Clip("c", [None, here], [here, none]),
    ]
    assert mean_overlaps(None, clips) == {"a": 0.75, "b": 1.0, "c": 0.0}
    with pytest.raises(ValueError, match="d: the first frame has no box"):
        mean_overlaps(None, [Clip("d", [None, here], [None, here])])
