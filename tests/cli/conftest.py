"""What tests of commands share: tables read back, and `siamcorr track` as a process."""

import csv
import os
import re
import sys
from pathlib import Path

import pytest

from siamcorr.cli import main
from siamcorr.data import ClipConfig, render_clip
from siamcorr.media import VideoSink

BOX = "60,40,40,28"


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
