"""What tests of commands share: tables read back, `siamcorr track` as a process, an evaluation."""

import csv
import os
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import siamcorr.cli.eval
from siamcorr.cli import main
from siamcorr.data import ClipConfig, render_clip
from siamcorr.media import VideoSink
from siamcorr.tracking.boxes import check_box

BOX = "60,40,40,28"
MIL = "opencv:mil"
FRAMES = 6


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoSink(path, fps=25) as video:
        for image, _ in render_clip(ClipConfig(frames=6, width=160, height=120, target=40)):
            video.write(image)
    return path


def rows(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def frame_numbers(path):
    return [int(row["frame"]) for row in rows(path)]


def run(*arguments):
    """Without recovery: random weights lose everything."""
    return main(["track", "--no-recover", *(str(argument) for argument in arguments)])


def command(*arguments):
    return [sys.executable, "-m", "siamcorr", "track", *(str(argument) for argument in arguments)]


def environment():
    """One thread, so that the time of a run does not hang on what else the machine does."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    return {k: v for k, v in os.environ.items() if k not in displays} | {"OMP_NUM_THREADS": "1"}


def said(text):
    """The lines on stderr, less the states of the progress bar."""
    bar = re.compile(r"\[\d\d:\d\d")
    return [line for line in re.split("[\r\n]+", text) if line and not bar.search(line)]


# siamcorr eval


@pytest.fixture
def data(tmp_path):
    """Two sequences as OTB lays them out."""
    for seed, name in enumerate(("left", "right")):
        folder = tmp_path / "data" / name
        (folder / "img").mkdir(parents=True)
        config = ClipConfig(frames=FRAMES, width=160, height=120, target=40, seed=seed)
        boxes = []
        for number, (image, box) in enumerate(render_clip(config), 1):
            cv2.imwrite(str(folder / "img" / f"{number:04d}.png"), image[:, :, ::-1])
            boxes.append(box)
        np.savetxt(folder / "groundtruth_rect.txt", boxes, fmt="%.3f", delimiter=",")
    return tmp_path / "data"


@pytest.fixture
def ours(random_weights):
    return f"nanotrack-v2={random_weights}"


@pytest.fixture
def evaluated(data, ours, tmp_path, capsys):
    """A call of the command on the data: exit code, stdout, stderr."""

    def call(*arguments, trackers=(ours, MIL)):
        code = main(["eval", *trackers, "--data", str(data), "--output", str(tmp_path / "out"),
                     *arguments])  # fmt: skip
        return code, *capsys.readouterr()

    return call


class Still:
    """Says the first box again and again; one outside the frame it does not take."""

    def init(self, frame, box_xywh):
        self.box_xywh = check_box(box_xywh, frame.shape[:2])

    def update(self, frame):
        return self


@pytest.fixture
def still(evaluated, monkeypatch):
    """The command with a tracker that costs no time."""
    monkeypatch.setattr(siamcorr.cli.eval, "make_tracker", lambda name: Still())
    return lambda *arguments: evaluated(*arguments, trackers=["still"])
