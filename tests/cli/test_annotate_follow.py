"""`siamcorr annotate --follow MODEL`: boxes from a tracker, and questions about unsure frames."""

from dataclasses import replace

import numpy as np
import pytest

from siamcorr.cli import annotate, main
from siamcorr.data import ClipConfig, find_sequences, render_clip
from siamcorr.data.annotation.keyframes import Mark
from siamcorr.data.annotation.session import Annotation
from siamcorr.media import Input, VideoSink
from siamcorr.tracking import box_iou
from siamcorr.viewer.zoom import zoom_of

FRAMES = 12
CLIP = [*render_clip(ClipConfig(frames=FRAMES, width=240, height=180, target=50))]
ZOOM = zoom_of(CLIP[0][0])
TAKE = Input(key="enter")


def drawn(x, y, w, h):
    return Input(drawn=(x * ZOOM, y * ZOOM, w * ZOOM, h * ZOOM))


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoSink(path, fps=25) as video:
        for image, _ in CLIP:
            video.write(image)
    return path


@pytest.fixture
def person(monkeypatch):
    """Who does what is put on this list, in this order, and closes the window then."""
    actions = []

    class Window:
        def show(self, image, wait_ms=1):
            return actions.pop(0) if actions else Input(closed=True)

        def close(self):
            pass

    monkeypatch.setattr(annotate, "Window", Window)
    monkeypatch.setattr(annotate, "display_available", lambda: True)
    return actions


def run(clip, output, *options):
    return main(["annotate", str(clip), "--output", str(output), "--every", "11", *options])


def test_a_real_target_is_followed(clip, person, tmp_path):
    """Two marks, and every box between them is on the target."""
    person += [drawn(*CLIP[0][1]), TAKE, drawn(*CLIP[11][1]), TAKE]
    assert run(clip, tmp_path / "out", "--follow", "siamcorr-lite") == 0
    (sequence,) = find_sequences(tmp_path / "out")
    overlaps = [box_iou(box, truth) for box, (_, truth) in zip(sequence.boxes, CLIP, strict=True)]
    assert len(overlaps) == FRAMES
    assert min(overlaps) > 0.4


@pytest.mark.parametrize("leaves", [False, True])
def test_asks_where_the_tracker_is_not_sure(leaves, clip, person, tmp_path, monkeypatch):
    """With its guess, which the person takes or draws anew, until all is sure or q is pressed."""
    guess = Mark((1.0, 2.0, 30.0, 30.0))
    guesses = [(5, guess), (7, replace(guess)), None]

    class Filled:
        def __init__(self, network, frames):
            assert network.preset.name == "siamcorr-lite"
            assert len(frames) == FRAMES

        def unsure(self, marks):
            return guesses.pop(0)

        def boxes(self, marks):
            assert sorted(marks) == ([0, 5, 11] if leaves else [0, 5, 7, 11])
            return np.full((FRAMES, 4), 9.0)

    monkeypatch.setattr(annotate, "Filling", Filled)
    person += [drawn(20, 30, 40, 24), TAKE, drawn(42, 30, 40, 46), TAKE, TAKE]
    person += [Input(key="q")] if leaves else [drawn(40, 40, 30, 30), TAKE]
    assert run(clip, tmp_path / "out", "--follow", "siamcorr-lite") == 0
    marks = Annotation(tmp_path / "out" / "clip").marks
    assert marks[5] == guess
    if not leaves:
        assert marks[7].box_xywh == pytest.approx((40, 40, 30, 30), abs=1)
    (sequence,) = find_sequences(tmp_path / "out")
    assert (sequence.boxes == 9).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--weights", "any.pth"], "--weights needs --follow MODEL"),
        (["--follow", "siamfoo"], "siamfoo"),
        (["--follow", "siamcorr-lite", "--weights", "gone.pth"], "gone.pth: No such file"),
    ],
)
def test_errors_are_one_line_and_code_2(options, text, clip, person, tmp_path, capsys):
    assert run(clip, tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("siamcorr: ")
    assert error.count("\n") == 1
    assert text in error
    assert not (tmp_path / "out").exists()
