"""A scripted tracker, and a window with scripted input."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from siamcorr.media import Frame, Input
from siamcorr.tracking import TrackResult, check_box
from siamcorr.viewer import Session


class ScriptedTracker:
    """Moves every target by (2, 1) per frame."""

    def __init__(self):
        self.boxes, self.lost, self.next = {}, set(), 0

    def __len__(self):
        return len(self.boxes)

    def add(self, image, box):
        self.boxes[self.next] = check_box(box, image.shape[:2])
        self.next += 1
        return self.next - 1

    def renew(self, number, image, box):
        assert number in self.boxes
        self.boxes[number] = check_box(box, image.shape[:2])

    def remove(self, number):
        del self.boxes[number]

    def update(self, image, *, response=False):
        maps = np.eye(4) if response else None
        for number, (x, y, w, h) in self.boxes.items():
            if number not in self.lost:
                self.boxes[number] = x + 2, y + 1, w, h
        return {
            number: TrackResult(box, 0.5, number in self.lost, maps, (box[0] - 10, box[1], 40, 40))
            for number, box in self.boxes.items()
        }


@dataclass
class FakeWindow:
    """Plays inputs one after the other, and stores the shown images."""

    inputs: list[Input]
    shown: list[np.ndarray] = field(default_factory=list)

    def show(self, image, wait_ms=1):
        assert wait_ms >= 1
        self.shown.append(image)
        assert len(self.shown) < 50, "the view does not end"
        return self.inputs.pop(0) if self.inputs else Input()


@pytest.fixture
def session():
    return Session(ScriptedTracker())


@pytest.fixture
def frames():
    """Grey frames, 640 x 480, which the window does not resize."""
    image = np.full((480, 640, 3), 128, np.uint8)
    return [Frame(index, index / 30, image) for index in range(9)]


@pytest.fixture
def window():
    return FakeWindow
