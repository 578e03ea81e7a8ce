"""Tiny datasets on disk, for the tests that read them."""

import math
from pathlib import Path

import cv2
import numpy as np

from siamcorr.data import find_sequences

NAN = (math.nan,) * 4
BOXES = [(1, 2, 3, 4), (2, 2, 3, 4), (3, 2, 3, 5)]


def write_images(folder, count=3, first=1, name="{:08d}.jpg"):
    """Images 16x12 whose level is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        content = cv2.imencode(Path(name).suffix, np.full((12, 16, 3), number % 256, np.uint8))[1]
        (folder / name.format(number)).write_bytes(content.tobytes())


def write_video(path, count=6):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (16, 12))
    for number in range(count):
        writer.write(np.full((12, 16, 3), 40 * number, np.uint8))
    writer.release()


def write_rows(path, rows=BOXES, mark=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(mark.join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def write_vot(root, *names, count=3):
    """Sequences as VOT's first years laid them out."""
    for name in names:
        write_images(root / name, count)
        write_rows(root / name / "groundtruth.txt")


def levels(sequence):
    return [round(float(frame.mean())) for frame in sequence]


def only(root, layout):
    """The one sequence of a folder, found by looking and by name."""
    (found,), (named,) = find_sequences(root), find_sequences(root, layout)
    assert found.layout == named.layout == layout
    assert found.frames == named.frames
    return found


def write_bytes(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
