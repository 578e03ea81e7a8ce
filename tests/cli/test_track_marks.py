"""`siamcorr track --box X,Y,W,H@FRAME:NAME`: marks in any frames of a file."""

import csv
import json
import os
import signal

import numpy as np
import pytest

from siamcorr.cli import main
from siamcorr.cli.box_option import Mark, group_marks, parse_mark
from siamcorr.cli.outputs import Outputs
from siamcorr.data import ClipConfig, render_clip
from siamcorr.media import VideoSink, open_source
from siamcorr.tracking import MultiTracker, box_iou

CLIP = [*render_clip(ClipConfig(frames=12, width=240, height=180, target=50))]
TRUTH = [box for _, box in CLIP]


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoSink(path, 25.0) as sink:
        for image, _ in CLIP:
            sink.write(image)
    return path


def text(frame, name="", truth=TRUTH):
    return ",".join(f"{value:.2f}" for value in truth[frame]) + f"@{frame}{name and ':' + name}"


def run(clip, *arguments):
    return main(["track", str(clip), "--model", "siamcorr-lite", "--no-show", *arguments])


def rows(path):
    return [*csv.DictReader(path.read_text().splitlines())]


def overlaps(table, target):
    return [
        box_iou([float(row[side]) for side in "xywh"], TRUTH[int(row["frame"])])
        for row in table
        if row["target"] == target
    ]


def test_both_ways(clip, tmp_path, capsys):
    """Every frame has its row, in order, and the video all frames."""
    table, video = tmp_path / "out.csv", tmp_path / "out.mp4"
    outputs = ["--boxes", str(table), "--output", str(video)]
    assert run(clip, "--box", text(5), *outputs) == 0
    assert f"12 frames tracked, written to {video} and {table}" in capsys.readouterr().out
    found = rows(table)
    assert [int(row["frame"]) for row in found] == [*range(12)]
    assert min(overlaps(found, "0")) > 0.4
    assert [float(found[5][side]) for side in "xywh"] == pytest.approx(TRUTH[5], abs=0.01)
    assert len([*open_source(video)]) == 12


def test_names(clip, tmp_path):
    """Marks of one name are of one target; one without is a target of its own."""
    boxes = ["--box", text(2, "the ball"), "--box", text(9, "the ball"), "--box", "5,5,40,40"]
    for suffix in ("csv", "jsonl", "json", "txt"):
        assert run(clip, *boxes, "--boxes", str(tmp_path / f"out.{suffix}")) == 0
    found = rows(tmp_path / "out.csv")
    assert [row["target"] for row in found] == ["the ball", "1"] * 12
    assert min(overlaps(found, "the ball")) > 0.4
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["target"] for line in lines] == ["the ball", 1] * 12
    coco = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert [(one["track_id"], one.get("name")) for one in coco[:2]] == [(0, "the ball"), (1, None)]
    numbers = {line.split(",")[1] for line in (tmp_path / "out.txt").read_text().splitlines()}
    assert numbers <= {"1", "2"}


def test_start_every_and_resize(clip, tmp_path):
    """Frames are counted in the source, boxes are in its pixels."""
    table = tmp_path / "out.csv"
    options = ["--start", "1", "--every", "2", "--max-frames", "4", "--resize", "160"]
    assert run(clip, "--box", text(5), *options, "--boxes", str(table)) == 0
    found = rows(table)
    assert [int(row["frame"]) for row in found] == [1, 3, 5, 7]
    assert min(overlaps(found, "0")) > 0.4


def test_stopped(clip, tmp_path, monkeypatch, capsys):
    """By Ctrl-C while it is written: what is there is whole, and the code says it is not all."""
    write = Outputs.write_results

    def interrupted(self, frame, results):
        write(self, frame, results)
        if frame.index == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Outputs, "write_results", interrupted)
    table = tmp_path / "out.csv"
    assert run(clip, "--box", text(5), "--boxes", str(table)) == 130
    assert len(rows(table)) == 4
    assert "stopped after 4 of 12 frames" in capsys.readouterr().err


def test_interrupted_during_tracking(clip, tmp_path, monkeypatch, capsys):
    """Nothing is known of most frames yet: it ends at once, and the table is whole."""
    update, calls = MultiTracker.update, []

    def interrupted(self, image, **options):
        calls.append(image)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return update(self, image, **options)

    monkeypatch.setattr(MultiTracker, "update", interrupted)
    table = tmp_path / "out.csv"
    assert run(clip, "--box", text(5), "--boxes", str(table)) == 130
    assert len(calls) == 2
    assert rows(table) == []
    assert capsys.readouterr().err.endswith("siamcorr: interrupted\n")


ERRORS = {
    "not tracked": ("--box {box} --every 2", "--box in frame 5: not tracked with --start 0"),
    "before": ("--box {box} --start 6", "--box in frame 5: not tracked with --start 6"),
    "no frame": ("--box 1,1,20,20@12", "--box of 0 in frame 12: there is no such frame"),
    "outside": ("--box 900,1,20,20@3:a", "--box of a in frame 3: box 900,1,20,20 lies outside"),
    "twice": ("--box {box}:a --box {box}:a", "--box: two boxes of a in frame 5"),
    "window": ("--box {box} --show", "--show: not available with --box X,Y,W,H@FRAME"),
    "word": ("--box 1,1,20,20@five", "--box must be X,Y,W,H@FRAME or X,Y,W,H@FRAME:NAME, got"),
    "negative": ("--box 1,1,20,20@-5", "--box must be X,Y,W,H@FRAME or X,Y,W,H@FRAME:NAME, got"),
    "comma": ("--box 1,1,20,20@5:a,b", "--box must be X,Y,W,H@FRAME or X,Y,W,H@FRAME:NAME, got"),
    "suffix": ("--box {box} --boxes {tmp}/a.xls", "a.xls: unknown table suffix"),
}


@pytest.mark.parametrize(("command", "said"), ERRORS.values(), ids=ERRORS)
def test_errors_are_one_line_and_code_2(command, said, clip, tmp_path, capsys):
    before = sorted(tmp_path.iterdir())
    assert run(clip, *command.format(box=text(5), tmp=tmp_path).split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("siamcorr: ")
    assert error.count("\n") == 1
    assert said in error
    assert sorted(tmp_path.iterdir()) == before


def test_live_sources(tmp_path, capsys):
    for source in ("-", "0", "rtsp://nobody.invalid/stream"):
        assert main(["track", source, "--no-show", "--box", "1,1,20,20@5"]) == 2
        assert "for video files and folders of images only" in capsys.readouterr().err


def test_marks():
    assert parse_mark("1,2,3,4") == Mark((1, 2, 3, 4))
    assert parse_mark("1,2,3,4@7:No. 7 ä") == Mark((1, 2, 3, 4), 7, "No. 7 ä")
    a, b, c = parse_mark("1,2,3,4@4:x"), parse_mark("5,6,7,8"), parse_mark("9,9,9,9@8:x")
    boxes, names = group_marks([b, a, c], 2, 2)
    assert boxes == {0: {0: (5, 6, 7, 8)}, 1: {1: (1, 2, 3, 4), 3: (9, 9, 9, 9)}}
    assert names == {1: "x"}
    assert np.isfinite(boxes[0][0]).all()
