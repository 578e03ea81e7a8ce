"""Demos: each runs to its end, or prints one line about what is missing."""

import importlib.util
import itertools
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamcorr.data import ClipConfig, render_clip
from siamcorr.media import Input, VideoSink, display_available, open_source

FOLDER = Path(__file__).parents[2] / "demo"
WEIGHTS = ("SIAMCORR_SHARED", "SIAMCORR_WEIGHTS", "XDG_CACHE_HOME")


@pytest.fixture
def demo(monkeypatch, tmp_path):
    """Load a demo as a module that writes to tmp_path, with no weights by default."""
    for name in WEIGHTS:
        monkeypatch.setenv(name, str(tmp_path))

    def load(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *(str(argument) for argument in arguments)])
        spec = importlib.util.spec_from_file_location(f"demo_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "OUTPUT", tmp_path / "output", raising=False)
        return module

    return load


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoSink(path, fps=25) as video:
        for image, _ in render_clip(ClipConfig(frames=6, width=160, height=120, target=40)):
            video.write(image)
    return path


@pytest.mark.parametrize("seed", [0, 5])
def test_find_template(seed, demo, tmp_path, capsys):
    demo("find_template", seed).main()
    out = capsys.readouterr().out
    cut, found = re.search(r"cut at (\d+, \d+); the response finds it at \((.+)\)\.", out).groups()
    assert found == cut
    assert cv2.imread(str(tmp_path / "output" / "find_template.png")).shape == (360, 1440, 3)


def test_many_targets(demo, tmp_path, capsys):
    demo("many_targets", "--targets", 2).main()
    assert re.match(r"2 targets, \d+\.\d ms per target and frame: ", capsys.readouterr().out)
    rows = np.loadtxt(tmp_path / "output" / "many.txt", delimiter=",")
    assert rows.shape == (120, 10)
    assert len(list(open_source(tmp_path / "output" / "many.mp4"))) == 60


@pytest.mark.parametrize("frames", [1, 3])
def test_contact_sheet(frames, demo, clip, tmp_path, capsys):
    picture = tmp_path / "sheet.png"
    demo("contact_sheet", clip, picture, "--frames", frames, "--height", 60).main()
    assert cv2.imread(str(picture)).shape == (60, 80 * frames, 3)
    assert capsys.readouterr().out == f"{frames} of 6 frames: {picture}\n"


def test_contact_sheet_of_nothing(demo, tmp_path):
    with pytest.raises(SystemExit, match=r"gone\.mp4: no such file or folder"):
        demo("contact_sheet", tmp_path / "gone.mp4", tmp_path / "sheet.png").main()


def test_contact_sheet_that_cannot_be_written(demo, clip, tmp_path):
    with pytest.raises(SystemExit, match=r"sheet\.what: unknown image suffix"):
        demo("contact_sheet", clip, tmp_path / "sheet.what").main()
    with pytest.raises(SystemExit, match="No such file or directory"):
        demo("contact_sheet", clip, tmp_path / "no" / "sheet.png").main()


def test_response_map(demo, clip, tmp_path, capsys):
    picture = tmp_path / "new" / "response.png"
    demo("response_map", clip, "--box", "60,40,40,28", "--frame", 3, "--output", picture).main()
    assert cv2.imread(str(picture)).shape == (255, 3 * 255 + 340, 3)
    out = capsys.readouterr().out
    assert re.fullmatch(rf"frame 3, score \d\.\d\d: {re.escape(str(picture))}\n", out)


def test_response_map_of_nothing(demo, tmp_path):
    with pytest.raises(SystemExit, match=r"gone\.mp4: no such file or folder"):
        demo("response_map", tmp_path / "gone.mp4", "--box", "1,2,3,4").main()


def test_pictures_of_the_readme_are_there():
    names = re.findall(r"!\[.*?\]\((.+?)\)", (FOLDER / "README.md").read_text())
    assert len(names) == 4
    assert all((FOLDER / name).is_file() for name in names)


def test_demos_are_short():
    for path in FOLDER.glob("*.py"):
        assert path.read_text().count("\n") < 60, path.name


def test_xcorr_tour(demo, capsys):
    demo("xcorr_tour", "--channels", 2, "--batch", 2).main()
    out = capsys.readouterr().out
    shapes = re.findall(r"-> \((.+?)\)", out)
    assert shapes == [
        "1, 1, 129, 129",
        "2, 1, 129, 129",
        "1, 2, 129, 129",
        "2, 2, 129, 129",
        "2, 64, 16, 16",
    ]


def test_convolutions(demo, capsys):
    demo("convolutions", "--channels", 8, "--size", 16).main()
    lines = capsys.readouterr().out.splitlines()[1:5]
    rows = [re.split(r"  +", line.replace(",", "")) for line in lines]
    assert [row[0] for row in rows] == ["full", "grouped 4", "depthwise-separable", "dilated 2"]
    stem, norms = 3 * 8 * 9, 3 * 2 * 8
    inner = [8 * 8 * 9, 8 * 2 * 9, 8 * 9 + 8 * 8, 8 * 8 * 9]
    assert [int(row[1]) for row in rows] == [stem + norms + 3 * count for count in inner]
    assert [int(row[3]) for row in rows] == [15, 15, 15, 27]
    assert all(float(row[4]) > 0 for row in rows)


def test_track_video(demo, clip, tmp_path, capsys):
    demo("track_video", clip, "--box", "60,40,40,28").main()
    assert capsys.readouterr().out.startswith("tracked 6 frames: ")
    output = tmp_path / "output"
    assert len(list(open_source(output / "tracked.mp4"))) == 6
    assert (output / "tracked.csv").read_text().count("\n") == 7
    assert cv2.imread(str(output / "heatmap.png")).shape == (120, 160, 3)


def test_track_video_does_not_overwrite_what_it_reads(demo, clip, tmp_path, monkeypatch, capsys):
    (tmp_path / "output").mkdir()
    video = clip.rename(tmp_path / "output" / "tracked.mp4")
    before = video.read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        demo("track_video", "output/../output/tracked.mp4", "--box", "60,40,40,28").main()
    assert caught.value.code == 2
    assert "tracked.mp4: this demo would overwrite it" in capsys.readouterr().err
    assert video.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "box", "text"),
    [
        ("gone.mp4", "60,40,40,28", "gone.mp4: no such file or folder"),
        ("clip.mp4", "60,40,40", "box must be four finite numbers"),
        ("clip.mp4", "a,b,c,d", "could not convert string to float"),
        ("clip.mp4", "900,40,40,28", "box 900,40,40,28 lies outside the 160x120 frame"),
    ],
)
def test_track_video_errors(name, box, text, demo, clip):
    with pytest.raises(SystemExit, match=text):
        demo("track_video", clip.with_name(name), "--box", box).main()


def lost_from(module, name, monkeypatch, first):
    """Make the demo's tracker lose its targets from a given update on."""
    update, count = getattr(module, name).update, itertools.count()

    def losing(self, *arguments, **options):
        results = update(self, *arguments, **options)
        lost = next(count) >= first
        if isinstance(results, dict):
            return {number: replace(result, lost=lost) for number, result in results.items()}
        return replace(results, lost=lost)

    monkeypatch.setattr(getattr(module, name), "update", losing)
    drawn, draw = [], module.draw_result

    def draw_result(image, box_xywh, score, label="", lost=False):
        drawn.append(lost)
        return draw(image, box_xywh, score, label, lost)

    monkeypatch.setattr(module, "draw_result", draw_result)
    return drawn


def test_track_video_marks_lost_targets(demo, clip, tmp_path, monkeypatch):
    module = demo("track_video", clip, "--box", "60,40,40,28")
    drawn = lost_from(module, "Tracker", monkeypatch, 4)
    module.main()
    lines = (tmp_path / "output" / "tracked.csv").read_text().splitlines()
    assert [line[-1] for line in lines[1:]] == [*"000011"]
    assert drawn == [False] * 4 + [True] * 2


def test_many_targets_leaves_lost_ones_out(demo, tmp_path, monkeypatch):
    module = demo("many_targets", "--targets", 1)
    drawn = lost_from(module, "MultiTracker", monkeypatch, 10)
    module.main()
    rows = np.loadtxt(tmp_path / "output" / "many.txt", delimiter=",")
    assert rows[:, 0].tolist() == list(range(1, 11))
    assert drawn == [False] * 10 + [True] * 50


def test_track_video_follows_the_clip(demo, capsys):
    """With the shipped files only."""
    demo("track_video").main()
    overlap = re.search(r"mean overlap .*: (\d\.\d\d)", capsys.readouterr().out)
    assert float(overlap[1]) > 0.6


def test_track_video_needs_a_box(demo, capsys):
    with pytest.raises(SystemExit) as caught:
        demo("track_video", "some.mp4").main()
    assert caught.value.code == 2
    assert "a video needs --box X,Y,W,H" in capsys.readouterr().err


def test_webcam_without_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    display_available.cache_clear()
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(FOLDER / "webcam.py"), run_name="__main__")
    display_available.cache_clear()
    assert re.fullmatch("no display: .+", caught.value.code)  # sys.exit prints it, and exits 1


class FakeWindow:
    """A user who draws a box in the first frame and presses q at the third."""

    shown = 0

    def show(self, image, wait_ms=1):
        FakeWindow.shown += 1
        if FakeWindow.shown == 1:
            return Input(drawn=(240.0, 160.0, 160.0, 112.0))
        return Input("q" if FakeWindow.shown == 3 else "")

    def close(self):
        FakeWindow.shown = -FakeWindow.shown


def test_webcam(demo, clip, monkeypatch):
    module = demo("webcam", clip)
    monkeypatch.setattr(module, "display_available", lambda: True)
    monkeypatch.setattr(module, "Window", FakeWindow)
    module.main()
    assert FakeWindow.shown == -3  # shown thrice, then closed


def test_webcam_without_camera(demo, monkeypatch):
    module = demo("webcam", "97")
    monkeypatch.setattr(module, "display_available", lambda: True)
    with pytest.raises(SystemExit, match="camera 97: cannot be opened"):
        module.main()
