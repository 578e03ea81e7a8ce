"""What many targets cost: every frame is given to every tracker, the first few do not count."""

import numpy as np
import pytest

from siamcorr import build_model
from siamcorr.bench import targets, time_targets

FRAMES = [np.full((120, 160, 3), value, np.uint8) for value in range(6)]


class Tracker:
    """A tracker that takes a second for each target, by a clock of its own."""

    now = 0.0
    seen: tuple[list, list] = ([], [])

    def __init__(self, network):
        self.boxes = []

    def add(self, frame, box):
        self.boxes.append(box)

    def update(self, frame):
        Tracker.seen[0].append((int(frame[0, 0, 0]), len(self.boxes)))
        Tracker.seen[1].extend(self.boxes)
        Tracker.now += len(self.boxes)


@pytest.fixture
def by_the_clock(monkeypatch):
    Tracker.seen = ([], [])
    monkeypatch.setattr(targets, "MultiTracker", Tracker)
    monkeypatch.setattr(targets.time, "perf_counter", lambda: Tracker.now)


def test_seconds_by_count(by_the_clock):
    assert time_targets(None, FRAMES, [1, 4], warm=2) == {1: [1.0] * 3, 4: [4.0] * 3}
    assert Tracker.seen[0] == [(frame, count) for frame in range(1, 6) for count in (1, 4)]


def test_targets_lie_in_the_frame_and_apart(by_the_clock):
    time_targets(None, FRAMES, [9])
    boxes = np.array(Tracker.seen[1][:9])
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= (160, 120)).all()
    assert len(np.unique(boxes[:, :2], axis=0)) == 9


def test_a_real_tracker():
    seconds = time_targets(build_model("nanotrack-v2"), FRAMES, [2, 1])
    assert [len(laps) for laps in seconds.values()] == [2, 2]
    assert all(lap > 0 for laps in seconds.values() for lap in laps)


@pytest.mark.parametrize(
    ("frames", "counts", "text"),
    [
        (FRAMES[:4], [1], "5 frames at least, got 4"),
        (FRAMES, [0, 2], "targets must be >= 1, got 0"),
        ([frame[:40] for frame in FRAMES], [1], "160x40 frames are smaller than a target"),
    ],
)
def test_errors(frames, counts, text):
    with pytest.raises(ValueError, match=text):
        time_targets(None, frames, counts)
