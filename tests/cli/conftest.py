"""What tests of commands share: tables read back, and `siamcorr track` as a process."""

import csv
import os
import sys
from pathlib import Path


def rows(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def frame_numbers(path):
    return [int(row["frame"]) for row in rows(path)]


def command(*arguments):
    return [sys.executable, "-m", "siamcorr", "track", *(str(argument) for argument in arguments)]


def environment():
    """One thread, so that the time of a run does not hang on what else the machine does."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    return {k: v for k, v in os.environ.items() if k not in displays} | {"OMP_NUM_THREADS": "1"}
