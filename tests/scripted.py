"""A tracker that does as it was told, and a sequence for it."""

import math
from types import SimpleNamespace

import numpy as np
from tiny_datasets import write_images

from siamcorr.data.datasets.sequences import Sequence

INSIDE, AWAY = (2.0, 2.0, 4.0, 4.0), (12.0, 8.0, 3.0, 3.0)


class Scripted:
    """Says of each frame what it was told to, and keeps a list of what it was asked."""

    def __init__(self, away=(), step=0.0, log=None):
        self.away, self.step, self.log = away, step, [] if log is None else log

    def init(self, frame, box_xywh):
        self.log.append(("init", int(frame[0, 0, 0]), box_xywh))

    def update(self, frame):
        index = int(frame[0, 0, 0])
        self.log.append(("update", index))
        x, y, w, h = AWAY if index in self.away else INSIDE
        return SimpleNamespace(box_xywh=(x + self.step * index, y, w, h))

    def frames(self, kind):
        return [entry[1] for entry in self.log if entry[0] == kind]


def walk(folder, name, count, without=()):
    """Frames, each with its number for a colour, and a target that stands still."""
    write_images(folder, count, first=0, name="{:03d}.png")
    boxes = np.tile(INSIDE, (count, 1))
    boxes[list(without)] = math.nan
    return Sequence(name, tuple(sorted(folder.iterdir())), boxes)
