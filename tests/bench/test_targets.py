"""Time of many targets: every tracker gets every frame, the first few are not counted."""

import numpy as np
import pytest

from siamcorr import build_model
from siamcorr.bench import targets, time_lost, time_targets

FRAMES = [np.full((120, 160, 3), value, np.uint8) for value in range(6)]


class Tracker:
    """A tracker that takes a second for each target, by a clock of its own."""

    now = 0.0
    seen: tuple[list, list] = ([], [])

    def __init__(self, network, *, optimize):
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


TEXTURED = [
    np.random.default_rng(seed).integers(0, 255, (120, 160, 3), np.uint8) for seed in range(16)
]


def test_only_lost_targets_are_searched(monkeypatch):
    """Whatever the network says, here one with random weights."""
    seen, real = [], targets.MultiTracker

    class Watched(real):
        def update(self, frame):
            results = super().update(frame)
            searching = sum(one.searching for one in self._followed.values())
            seen.append((bool(frame.any()), len(results), searching))
            return results

    monkeypatch.setattr(targets, "MultiTracker", Watched)
    laps = time_lost(build_model("nanotrack-v2"), TEXTURED, [3, 2], warm=1)
    assert {count: tuple(map(len, both)) for count, both in laps.items()} == {3: (9, 9), 2: (9, 9)}
    assert all(lap > 0 for both in laps.values() for part in both for lap in part)
    assert {row for row in seen if row[0]} == {(True, 3, 0), (True, 2, 0)}
    counted = [row for row in seen if not row[0]][-18:]
    assert counted == [(False, 3, 3), (False, 2, 2)] * 9


def test_errors_of_the_lost():
    network = build_model("nanotrack-v2")
    with pytest.raises(ValueError, match="10 frames at least, got 6"):
        time_lost(network, FRAMES, [1])
    with pytest.raises(ValueError, match="lost_below > 0, siamfc-alexnet has none"):
        time_lost(build_model("siamfc-alexnet"), TEXTURED, [1])
