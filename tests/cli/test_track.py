"""`siamcorr track`: outputs, exit codes, and errors of one line."""

import json
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from cli.conftest import BOX, command, environment, frame_numbers, rows, run, said

from siamcorr import MultiTracker, Tracker, build_model
from siamcorr.cli import main, track
from siamcorr.media import Input, SourceError, open_source


@pytest.fixture(autouse=True)
def _no_display(monkeypatch):
    """No display on any machine; tests that need one fake it."""
    monkeypatch.setattr(track, "display_available", lambda: False)


@pytest.fixture
def folder(tmp_path):
    """Six plain grey images: whatever is coloured in the output was drawn."""
    path = tmp_path / "images"
    path.mkdir()
    for number in range(6):
        cv2.imwrite(str(path / f"{number}.png"), np.full((120, 160), 128, np.uint8))
    return path


def boxes(path):
    return np.array([[float(row[key]) for key in "xywh"] for row in rows(path)])


# what comes out


def test_rows_and_frames_agree_with_the_tracker(clip, random_weights, tmp_path, capsys):
    table, video = tmp_path / "out.csv", tmp_path / "out.mp4"
    code = run(clip, "--box", BOX, "--weights", random_weights, "--boxes", table, "--output", video)
    assert code == 0
    assert f"6 frames tracked, written to {video} and {table}" in capsys.readouterr().out
    assert frame_numbers(table) == list(range(6))
    assert [float(row["time"]) for row in rows(table)] == [0, 0.04, 0.08, 0.12, 0.16, 0.2]
    written = open_source(video)
    assert written.fps == 25
    assert [frame.image.shape for frame in written] == [(120, 160, 3)] * 6

    tracker = Tracker(build_model("nanotrack-v2", random_weights))
    first, *rest = open_source(clip)
    tracker.init(first.image, (60, 40, 40, 28))
    expected = [tracker.update(frame.image) for frame in rest]
    assert boxes(table)[0].tolist() == [60, 40, 40, 28]
    np.testing.assert_allclose(boxes(table)[1:], [r.box_xywh for r in expected], atol=0.002)
    scores = [1.0, *(result.score for result in expected)]
    assert [float(row["score"]) for row in rows(table)] == pytest.approx(scores, abs=1e-4)


def test_start_and_max_frames(clip, random_weights, tmp_path):
    table, video = tmp_path / "out.csv", tmp_path / "out.avi"
    common = [clip, "--box", BOX, "--weights", random_weights, "--boxes", table]
    assert run(*common, "--start", 2, "--max-frames", 3, "--output", video) == 0
    assert frame_numbers(table) == [2, 3, 4]
    assert rows(table)[0]["time"] == "0.0800"
    assert len(list(open_source(video))) == 3
    assert run(*common, "--max-frames", 1) == 0
    assert frame_numbers(table) == [0]
    assert run(*common, "--start", 4, "--max-frames", 99) == 0
    assert frame_numbers(table) == [4, 5]


def test_boxes_are_drawn_where_the_table_says(folder, random_weights, tmp_path):
    table, video = tmp_path / "out.csv", tmp_path / "out.avi"
    command = [folder, "--box", BOX, "--weights", random_weights]
    assert run(*command, "--boxes", table, "--output", video) == 0
    frames = list(open_source(video))
    assert len(frames) == len(rows(table)) == 6
    for frame, (x, y, w, h) in zip(frames, boxes(table), strict=True):
        coloured = np.ptp(frame.image.astype(int), axis=2) > 50  # the label is black and white
        down, across = np.nonzero(coloured)
        drawn = across.min(), across.max() + 1, down.min(), down.max() + 1
        inside = np.clip((x, x + w), 0, 160).tolist() + np.clip((y, y + h), 0, 120).tolist()
        assert drawn == pytest.approx(inside, abs=3.5)
    red, green, blue = frames[0].image[67, 80].astype(int)  # the lower edge, at score 1
    assert green > max(red, blue) + 80


def test_each_box_is_a_target(clip, random_weights, tmp_path):
    table, alone = tmp_path / "out.csv", tmp_path / "alone.csv"
    common = [clip, "--weights", random_weights, "--boxes"]
    assert run(*common, table, "--box", BOX, "--box", "10,20,50,30") == 0
    assert run(*common, alone, "--box", "10,20,50,30") == 0
    assert [int(row["target"]) for row in rows(table)] == [0, 1] * 6
    np.testing.assert_allclose(boxes(table)[1::2], boxes(alone), atol=0.1)


def test_every(clip, random_weights, tmp_path):
    table, video = tmp_path / "out.csv", tmp_path / "out.mp4"
    given = ["--box", BOX, "--weights", random_weights, "--boxes", table, "--output", video]
    assert run(clip, *given, "--every", 2) == 0
    assert frame_numbers(table) == [0, 2, 4]
    written = open_source(video)
    assert (written.fps, len(list(written))) == (12.5, 3)
    assert run(clip, *given, "--every", 4, "--start", 1) == 0
    assert frame_numbers(table) == [1, 5]


def test_speed_is_that_of_the_video(clip, random_weights, tmp_path):
    video = tmp_path / "out.mp4"
    given = ["--box", BOX, "--weights", random_weights, "--output", video]
    assert run(clip, *given, "--speed", 2) == 0
    assert open_source(video).fps == 50


def test_resized_frames_and_boxes_in_the_pixels_of_the_source(clip, random_weights, tmp_path):
    table, video = tmp_path / "out.csv", tmp_path / "out.mp4"
    given = ["--box", BOX, "--weights", random_weights, "--boxes", table, "--output", video]
    assert run(clip, *given, "--resize", 80) == 0
    assert next(iter(open_source(video))).image.shape == (60, 80, 3)
    assert boxes(table)[0].tolist() == [60, 40, 40, 28]
    assert run(clip, *given, "--resize", 999) == 0  # frames are never grown
    assert next(iter(open_source(video))).image.shape == (120, 160, 3)


@pytest.mark.parametrize(("suffix", "lines"), [(".jsonl", 6), (".json", None), (".txt", 1)])
def test_other_tables(suffix, lines, clip, random_weights, tmp_path):
    """With random weights the target is lost after the first frame; MOT leaves such rows out."""
    table = tmp_path / f"out{suffix}"
    assert run(clip, "--box", BOX, "--weights", random_weights, "--boxes", table) == 0
    text = table.read_text()
    if suffix == ".json":
        assert len(json.loads(text)["annotations"]) == 6
    else:
        assert text.count("\n") == lines


@pytest.mark.parametrize("wanted", [True, False])
def test_recovery_is_passed_on(wanted, clip, random_weights, monkeypatch):
    asked = []

    class Recorder(MultiTracker):
        def __init__(self, model, *, recover):
            asked.append(recover)
            super().__init__(model, recover=recover)

    monkeypatch.setattr(track, "MultiTracker", Recorder)
    flags = [] if wanted else ["--no-recover"]
    given = ["track", str(clip), "--box", BOX, "--weights", str(random_weights), *flags]
    assert main([*given, "--max-frames", "1"]) == 0
    assert asked == [wanted]


@pytest.mark.parametrize(("flags", "notices"), [([], 1), (["--no-show"], 0)])
def test_headless_notice_is_one_line(flags, notices, clip, random_weights, capsys):
    assert run(clip, "--box", BOX, "--weights", random_weights, *flags) == 0
    text = "siamcorr: no display, tracking without a window"
    assert said(capsys.readouterr().err) == [text] * notices


# windows


class FakeWindow:
    """A person who draws a box, and presses q at the third frame; frames are shown at 4 to 1."""

    inputs = (Input(drawn=(240.0, 160.0, 160.0, 112.0)), Input(), Input(), Input("q"))

    def __init__(self):
        self.left, self.closed = [*self.inputs], False
        FakeWindow.last = self

    def show(self, image, wait_ms=1):
        assert image.shape == (480, 640, 3)
        return self.left.pop(0)

    def close(self):
        self.closed = True


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setattr(track, "display_available", lambda: True)
    monkeypatch.setattr(track, "Window", FakeWindow)
    return FakeWindow


def test_box_drawn_in_the_window_and_q_ends(window, clip, random_weights, tmp_path, capsys):
    table = tmp_path / "out.csv"
    assert run(clip, "--weights", random_weights, "--boxes", table) == 0
    assert frame_numbers(table) == [0, 1, 2]
    assert boxes(table)[0].tolist() == [60, 40, 40, 28]
    assert window.last.closed
    assert said(capsys.readouterr().err) == []


def test_selection_cancelled(window, clip, random_weights, monkeypatch, capsys):
    monkeypatch.setattr(window, "inputs", (Input(), Input("escape")))
    assert run(clip, "--weights", random_weights) == 2
    assert "the selection was cancelled" in capsys.readouterr().err
    assert window.last.closed


# what goes wrong


ERRORS = {
    "no file": ("{tmp}/gone.mp4 --box {box}", "gone.mp4: no such file or folder"),
    "no video": ("{tmp}/notes.txt --box {box}", "notes.txt: not a video"),
    "no camera": ("97 --box {box}", "camera 97: cannot be opened"),
    "no frame": ("{clip} --box {box} --start 6", "has no frame 6"),
    "outside": ("{clip} --box 200,40,40,28", "box 200,40,40,28 lies outside the 160x120 frame"),
    "no size": ("{clip} --box 60,40,0,28", "box must have a size, got w 0 and h 28"),
    "three numbers": ("{clip} --box 60,40,40", "--box must be X,Y,W,H in pixels, got 60,40,40"),
    "words": ("{clip} --box a,b,c,d", "--box must be X,Y,W,H in pixels, got a,b,c,d"),
    "nan": ("{clip} --box 60,40,nan,28", "box must be four finite numbers"),
    "no box": ("{clip}", "no target: give --box X,Y,W,H"),
    "no display": ("{clip} --box {box} --show", "--show: there is no display"),
    "no GPU": ("{clip} --box {box} --device cuda:99", "device cuda:99: there are"),
    "no device": ("{clip} --box {box} --device nonsense", "device must be auto, cpu, cuda or"),
    "no frames": ("{clip} --box {box} --max-frames 0", "--max-frames must be >= 1, got 0"),
    "no every": ("{clip} --box {box} --every 0", "--every must be >= 1, got 0"),
    "no side": ("{clip} --box {box} --resize 0", "--resize must be >= 1, got 0"),
    "no speed": ("{clip} --box {box} --speed 0", "--speed must lie in 0..100, got 0.0"),
    "one of two": ("{clip} --box {box} --box 1,2,3", "--box must be X,Y,W,H in pixels, got 1,2,3"),
    "video is source": ("{clip} --box {box} --output {clip}", "clip.mp4: is the source itself"),
    "video is source's URL": (
        "file://{clip} --box {box} --output {clip}",
        "clip.mp4: is the source itself",
    ),
    "table is source": ("{clip} --box {box} --boxes {clip}", "clip.mp4: is the source itself"),
    "one output": (
        "{clip} --box {box} --output {tmp}/a.mp4 --boxes {tmp}/./a.mp4",
        "a.mp4: the video and the table cannot be the same file",
    ),
    "suffix": ("{clip} --box {box} --output {tmp}/a.gif", "a.gif: unknown video suffix"),
    "no folder": ("{clip} --box {box} --output {tmp}/no/a.mp4", "a.mp4: No such file or directory"),
    "full disk": ("{clip} --box {box} --boxes {tmp}/full.csv", "full.csv: No space left on device"),
}


@pytest.mark.parametrize(("command", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_are_one_line_and_code_2(command, text, clip, random_weights, tmp_path, capsys):
    if "full.csv" in command and not Path("/dev/full").exists():
        pytest.skip("/dev/full is a file of Linux")
    (tmp_path / "full.csv").symlink_to("/dev/full")
    (tmp_path / "notes.txt").write_text("no video")
    before = clip.read_bytes(), sorted(tmp_path.iterdir())
    arguments = command.format(clip=clip, tmp=tmp_path, box=BOX).split()
    assert run(*arguments, "--weights", random_weights) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert err.startswith("siamcorr: ")
    assert text in err
    assert out == ""
    assert (clip.read_bytes(), sorted(tmp_path.iterdir())) == before  # nothing harmed or left over


def test_wrong_weights(clip, random_weights, tmp_path, capsys):
    content = torch.load(random_weights, weights_only=True)["state_dict"]
    torch.save({**content, "rpn.bias": torch.zeros(1)}, tmp_path / "other.pth")
    for name, text in (
        ("other.pth", "not weights of nanotrack-v2, they fit no known preset (unknown rpn.bias)"),
        ("gone.pth", "gone.pth: No such file or directory"),
    ):
        given = ["--model", "nanotrack-v2", "--weights", tmp_path / name]
        assert run(clip, "--box", BOX, *given) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"siamcorr: {tmp_path / name}: ")
        assert text in line
    assert run(clip, "--box", BOX, "--weights", tmp_path / "other.pth") == 2
    assert "fits no known model; name one with --model" in capsys.readouterr().err


def test_no_weights_found_says_where_to_get_them(clip, tmp_path, monkeypatch, capsys):
    for name in ("SIAMCORR_SHARED", "SIAMCORR_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert run(clip, "--box", BOX, "--model", "nanotrack-v2") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"siamcorr: no weights for nanotrack-v2.*put https://\S+ into \S+", line)


@pytest.mark.parametrize(
    ("break_it", "text"),
    [
        (lambda p: cv2.imwrite(str(p), np.zeros((90, 160, 3))), "frame 3: frame is (90, 160, 3)"),
        (lambda p: p.write_bytes(b"broken"), "3.png: not a readable image"),
    ],
    ids=["another size", "unreadable"],
)
def test_source_that_breaks_midway(break_it, text, folder, random_weights, tmp_path, capsys):
    """What was tracked until then is kept, and both outputs are in step."""
    break_it(folder / "3.png")
    table, video = tmp_path / "out.csv", tmp_path / "out.mp4"
    command = [folder, "--box", BOX, "--weights", random_weights, "--no-show"]
    assert run(*command, "--boxes", table, "--output", video) == 2
    (line,) = said(capsys.readouterr().err)
    assert line.startswith("siamcorr: ")
    assert text in line
    assert frame_numbers(table) == [0, 1, 2]
    assert len(list(open_source(video))) == 3


def test_debug_shows_the_traceback(tmp_path, random_weights, monkeypatch):
    monkeypatch.setenv("SIAMCORR_DEBUG", "1")
    with pytest.raises(SourceError):
        run(tmp_path / "gone.mp4", "--box", BOX, "--weights", random_weights)


# processes


def test_libraries_print_nothing(clip, random_weights, tmp_path):
    """FFmpeg's own words on such a file would come from below Python."""
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:500])
    done = subprocess.run(
        command(cut, "--box", BOX, "--weights", random_weights),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [f"siamcorr: {cut}: not a video"]


def test_ctrl_c_before_tracking_began(clip, random_weights, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(track, "open_source", interrupted)
    assert run(clip, "--box", BOX, "--weights", random_weights) == 130
    assert capsys.readouterr().err == "siamcorr: interrupted\n"


def test_speed_of_live_sources(clip, random_weights, monkeypatch, capsys):
    class Live:
        name, live, fps, frame_count = "camera", True, 30.0, None

        def __iter__(self):
            return iter(())

        def close(self):
            pass

    monkeypatch.setattr(track, "open_source", lambda *args: Live())
    assert run("0", "--box", BOX, "--weights", random_weights, "--speed", 2) == 2
    assert "--speed is for files" in capsys.readouterr().err
