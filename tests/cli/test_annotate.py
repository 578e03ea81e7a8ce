"""`siamcorr annotate`: a scripted user, and a dataset that `siamcorr eval` reads."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamcorr.cli import annotate, main
from siamcorr.data import ClipConfig, find_sequences, render_clip
from siamcorr.data.annotation.session import Annotation
from siamcorr.media import Input, VideoSink, open_source

FRAMES = 12
SIZE = (160, 120)
ZOOM = 4  # such a frame is shown so much larger
START, END = (20, 30, 40, 24), (42, 30, 40, 46)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    width, height = SIZE
    with VideoSink(path, fps=25) as video:
        for image, _ in render_clip(
            ClipConfig(frames=FRAMES, width=width, height=height, target=40)
        ):
            video.write(image)
    return path


@pytest.fixture
def folder(tmp_path):
    """Six plain grey images: whatever is coloured on the screen was drawn."""
    path = tmp_path / "grey"
    path.mkdir()
    for number in range(6):
        cv2.imwrite(str(path / f"{number}.png"), np.full((120, 160), 128, np.uint8))
    return path


def box(x, y, w, h):
    """A box drawn around these pixels of the frame."""
    return Input(drawn=(x * ZOOM, y * ZOOM, w * ZOOM, h * ZOOM))


def key(name):
    return Input(key=name)


TAKE, GONE, BACK, LEAVE = key("enter"), key("a"), key("b"), key("q")
DRAWN = [box(*START), TAKE], [box(*END), TAKE]


@pytest.fixture
def person(monkeypatch):
    """Gives a window to a person who does this, and closes it then; it keeps what it showed."""

    class Window:
        def __init__(self):
            self.shown, self.closed = person.shown, False
            person.windows.append(self)

        def show(self, image, wait_ms=1):
            self.shown.append(image)
            assert len(self.shown) < 99, "nobody is there any more"
            return next(person.actions, Input(closed=True))

        def close(self):
            self.closed = True

    class person:  # noqa: N801
        shown, windows, actions = [], [], iter(())

        @staticmethod
        def does(*actions):
            person.actions = iter(actions)

    monkeypatch.setattr(annotate, "Window", Window)
    monkeypatch.setattr(annotate, "display_available", lambda: True)
    return person


def run(*arguments):
    return main(["annotate", *(str(argument) for argument in arguments)])


def marks(output, name="clip"):
    """Frame and box, as the file has them."""
    path = output / f"{name}.marks.csv"
    with path.open(newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return {int(row[0]): tuple(map(float, row[1:])) if row[1] else None for row in rows}


# what comes out


def test_drawn_boxes_become_a_sequence(clip, person, tmp_path, capsys):
    first, last = DRAWN
    person.does(*first, *last, *[TAKE])
    assert run(clip, "--output", tmp_path, "--every", 5) == 0
    assert run(clip, "--output", tmp_path, "--every", 5) == 0  # nothing left to do
    out = capsys.readouterr().out
    assert f"12 frames marked, saved in {tmp_path}" not in out
    assert marks(tmp_path) == {0: START, 5: END, 10: END}
    person.does(TAKE)
    assert run(clip, "--output", tmp_path, "--every", 5) == 0
    assert marks(tmp_path) == {0: START, 5: END, 10: END, 11: END}
    assert f"12 frames, 12 with a box, written to {tmp_path / 'clip'}" in capsys.readouterr().out
    (sequence,) = find_sequences(tmp_path)
    assert (sequence.name, len(sequence), sequence.layout) == ("clip", FRAMES, "got10k")
    share = np.minimum(np.arange(FRAMES) / 5, 1)[:, None]
    expected = (1 - share) * np.array(START) + share * np.array(END)
    np.testing.assert_allclose(sequence.boxes, expected, atol=5e-5)
    for stored, frame in zip(sequence, open_source(clip), strict=True):
        assert np.abs(stored.astype(int) - frame.image).mean() < 3


def test_eval_reads_it(clip, person, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    person.does(*DRAWN[0], *DRAWN[1])
    assert run(clip, "--output", tmp_path / "data", "--every", 99, "--frames", 5) == 0
    report = tmp_path / "report"
    arguments = ["eval", "opencv:mil", "--data", tmp_path / "data", "--output", report]
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 0
    out = capsys.readouterr().out
    assert "opencv:mil" in out
    assert "siamcorr:" not in out  # no problems


def test_start_and_frames(clip, person, tmp_path):
    person.does(*DRAWN[0], *DRAWN[1])
    assert run(clip, "--output", tmp_path, "--start", 3, "--frames", 4) == 0
    (sequence,) = find_sequences(tmp_path)
    source = [frame.image for frame in open_source(clip)][3:7]
    for stored, image in zip(sequence, source, strict=True):
        assert np.abs(stored.astype(int) - image).mean() < 3
    assert marks(tmp_path) == {0: START, 3: END}


def test_absence(clip, person, tmp_path, capsys):
    """It is kept until something else is said, and nothing is made up beside it."""
    first, last = DRAWN
    person.does(GONE, *first, GONE, TAKE, *last, *last)
    assert run(clip, "--output", tmp_path, "--every", 3) == 0
    assert marks(tmp_path) == {0: START, 3: None, 6: None, 9: END, 11: END}
    assert "12 frames, 4 with a box" in capsys.readouterr().out
    (sequence,) = find_sequences(tmp_path)
    assert np.isfinite(sequence.boxes).all(axis=1).tolist() == [
        frame in (0, 9, 10, 11) for frame in range(FRAMES)
    ]


def test_back_and_mark_again(clip, person, tmp_path):
    other = (5, 6, 30, 20)
    person.does(BACK, *DRAWN[0], *DRAWN[1], BACK, BACK, box(*other), TAKE, TAKE, GONE)
    assert run(clip, "--output", tmp_path, "--every", 6) == 0
    assert marks(tmp_path) == {0: other, 6: END, 11: None}


def test_drawn_again_and_space(clip, person, tmp_path):
    """The last box that was drawn counts, as far as it lies in the frame; clicks do not."""
    outside, whole = box(-9, -9, 5, 5), box(100, 90, 99, 99)
    person.does(TAKE, box(*END), box(*START), outside, key("x"), key(" "), whole, TAKE)
    assert run(clip, "--output", tmp_path, "--every", 99) == 0
    assert marks(tmp_path) == {0: START, 11: (100, 90, 60, 30)}


# killed and gone on with


@pytest.mark.parametrize("how", [LEAVE, key("escape"), Input(closed=True)])
def test_leave_and_continue(how, clip, person, tmp_path, capsys):
    person.does(*DRAWN[0], *DRAWN[1], how)
    assert run(clip, "--output", tmp_path, "--every", 4) == 0
    assert f"2 frames marked, saved in {tmp_path / 'clip.marks.csv'}" in capsys.readouterr().out
    assert not (tmp_path / "clip" / "groundtruth.txt").exists()
    person.does(TAKE, GONE)
    assert run(clip, "--output", tmp_path, "--every", 4) == 0
    assert marks(tmp_path) == {0: START, 4: END, 8: END, 11: None}
    assert len(find_sequences(tmp_path)) == 1
    assert all(window.closed for window in person.windows)


def test_interrupted(clip, person, tmp_path, capsys):
    def actions():
        yield from DRAWN[0]
        raise KeyboardInterrupt

    person.does()
    person.actions = actions()
    assert run(clip, "--output", tmp_path) == 130
    assert "siamcorr: interrupted" in capsys.readouterr().err
    assert marks(tmp_path) == {0: START}
    assert person.windows[0].closed


def test_finer_in_a_second_pass(clip, person, tmp_path):
    """What lies between two marks is proposed, and the truth follows what is said of it."""
    person.does(*DRAWN[0], *DRAWN[1], TAKE)
    assert run(clip, "--output", tmp_path, "--every", 10) == 0
    assert marks(tmp_path) == {0: START, 10: END, 11: END}
    person.does(TAKE, LEAVE)
    assert run(clip, "--output", tmp_path, "--every", 5) == 0
    assert marks(tmp_path)[5] == (31, 30, 40, 35)
    person.does(BACK, BACK, GONE, LEAVE)
    assert run(clip, "--output", tmp_path, "--every", 5) == 0
    assert marks(tmp_path)[5] is None
    (sequence,) = find_sequences(tmp_path)
    assert np.isfinite(sequence.boxes[:, 0]).sum() == 3


def test_frames_are_stored_once(clip, person, tmp_path, monkeypatch):
    person.does(LEAVE)
    assert run(clip, "--output", tmp_path) == 0

    def opened(*arguments):
        raise AssertionError("the video was read again")

    monkeypatch.setattr(annotate, "open_source", opened)
    person.does(*DRAWN[0], LEAVE)
    assert run(clip, "--output", tmp_path) == 0
    assert marks(tmp_path) == {0: START}


# what is seen


def coloured(picture):
    """x, y, w, h in the frame's pixels of what is coloured in a picture of a grey frame."""
    rows, columns = np.nonzero(np.ptp(picture.astype(int), axis=2) > 50)
    if not len(rows):
        return None
    x, y = columns.min(), rows.min()
    return [float(v) / ZOOM for v in (x, y, columns.max() + 1 - x, rows.max() + 1 - y)]


def test_screen_shows_the_box_and_the_keys(folder, person, tmp_path):
    person.does(box(*START), TAKE, box(*END), TAKE, GONE, BACK, BACK, LEAVE)
    assert run(folder, "--output", tmp_path / "out", "--every", 2) == 0
    expected = [None, START, START, END, END, None, END, END]
    # Frames 0, 0, 2, 2, 4, 5, 4 and 2; of the last two one is marked absent.
    expected[6] = None
    assert len(person.shown) == len(expected)
    for picture, wanted in zip(person.shown, expected, strict=True):
        assert picture.shape[1] == SIZE[0] * ZOOM
        frame, below = picture[: SIZE[1] * ZOOM], picture[SIZE[1] * ZOOM :]
        seen = coloured(frame)
        assert seen is None if wanted is None else seen == pytest.approx(wanted, abs=1.5)
        assert (below == 255).any()
        assert len(below) >= 2 * annotate.LINE


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        ([], "frame 0 of 0 to 5: draw a box around the target; it must be visible here"),
        ([box(*START)], "frame 0 of 0 to 5: not marked yet"),
        ([*DRAWN[0]], "frame 2 of 0 to 5: not marked yet"),
        ([*DRAWN[0], BACK], "frame 0 of 0 to 5: marked"),
        ([*DRAWN[0], GONE, BACK], "frame 2 of 0 to 5: marked, absent"),
        ([*DRAWN[0], GONE], "frame 4 of 0 to 5: not marked yet, absent"),
    ],
)
def test_status(actions, text, folder, person, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(annotate, "lay_lines", lambda image, top, bottom: lines.append(bottom))
    person.does(*actions)
    assert run(folder, "--output", tmp_path / "out", "--every", 2) == 0
    status, *keys = lines[-1]
    assert status == text
    assert "   ".join(keys).split("   ") == annotate.KEYS


# what goes wrong


ERRORS = {
    "no file": ("{tmp}/gone.mp4", "gone.mp4: no such file or folder"),
    "camera": ("0", "0: no such file or folder"),
    "no video": ("{tmp}/notes.txt", "notes.txt: not a video"),
    "no images": ("{tmp}/empty", "empty: 0 images, none at index 0"),
    "no frame": ("{clip} --start 12", "has no frame 12"),
    "no start": ("{clip} --start -1", "start must be >= 0, got -1"),
    "every": ("{clip} --every 0", "--every must be >= 1, got 0"),
    "frames": ("{clip} --frames 0", "--frames must be >= 1, got 0"),
    "hidden": ("{tmp}/.clip.mp4", "names the sequence, and that name cannot begin with a dot"),
    "output is a file": ("{clip} --output {tmp}/notes.txt", "notes.txt: File exists"),
    "output in a file": ("{clip} --output {tmp}/notes.txt/a", "notes.txt/a: Not a directory"),
    "somebody's folder": ("{clip} --output {tmp}/taken", "clip: exists and holds"),
}


@pytest.mark.parametrize(("command", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_are_one_line_and_code_2(command, text, clip, person, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / ".clip.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken" / "clip").mkdir(parents=True)
    arguments = command.format(clip=clip, tmp=tmp_path).split()
    if "--output" not in arguments:
        arguments += ["--output", str(tmp_path / "out")]
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert err.splitlines()[-1].startswith("siamcorr: ")
    assert text in err.splitlines()[-1]
    assert err.count("\n") == 1
    assert out == ""
    assert not person.windows
    assert not [*tmp_path.glob("out/*")]


def test_unwritable_marks(clip, person, tmp_path, monkeypatch, capsys):
    person.does(*DRAWN[0], LEAVE)
    assert run(clip, "--output", tmp_path) == 0

    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    person.does(*DRAWN[1])
    capsys.readouterr()
    assert run(clip, "--output", tmp_path) == 2
    assert (
        capsys.readouterr().err == f"siamcorr: {tmp_path / 'clip.marks.csv'}: Permission denied\n"
    )
    assert marks(tmp_path) == {0: START}
    assert person.windows[-1].closed


def test_other_frames_than_before(clip, person, tmp_path, capsys):
    person.does(*DRAWN[0], LEAVE)
    assert run(clip, "--output", tmp_path) == 0
    assert run(clip, "--output", tmp_path, "--start", 2) == 2
    assert "clip: exists and holds other frames" in capsys.readouterr().err
    assert marks(tmp_path) == {0: START}


def test_another_dataset_s_frames_are_refused(folder, person, tmp_path, capsys):
    """Though both lie in a folder of the same name."""
    other = tmp_path / "other" / folder.name
    other.mkdir(parents=True)
    for number in range(6):
        cv2.imwrite(str(other / f"{number}.png"), np.full((120, 160), 90, np.uint8))
    person.does(*DRAWN[0], LEAVE)
    assert run(folder, "--output", tmp_path / "out") == 0
    assert run(other, "--output", tmp_path / "out") == 2
    assert "grey: exists and holds other frames" in capsys.readouterr().err
    assert marks(tmp_path / "out", "grey") == {0: START}


def test_video_that_ends_early_is_reported(clip, person, tmp_path, capsys):
    short = tmp_path / "short.avi"
    with VideoSink(short, fps=25) as video:
        for frame in open_source(clip):
            video.write(frame.image)
    short.write_bytes(short.read_bytes()[:-12000])
    assert run(short, "--output", tmp_path / "out") == 0
    count = len(Annotation(tmp_path / "out" / "short").frames)
    assert 0 < count < FRAMES
    err = capsys.readouterr().err.splitlines()
    assert err[-1] == f"siamcorr: {short}: ended after {count} of {FRAMES} announced frames"


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="DISPLAY says nothing about a screen there"
)
def test_without_a_display(clip, tmp_path):
    """In a process of its own, which a window would end."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {name: value for name, value in os.environ.items() if name not in displays}
    done = subprocess.run(
        [sys.executable, "-m", "siamcorr", "annotate", clip, "--output", tmp_path / "out"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "siamcorr: annotate: there is no display to draw boxes on\n"
    assert not (tmp_path / "out").exists()
