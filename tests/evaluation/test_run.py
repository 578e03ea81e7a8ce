"""Running trackers: what they are shown, what is kept of it, and what is done again."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_datasets import write_images

from siamcorr.data.sequences import Sequence
from siamcorr.evaluation import evaluate, load_result, run, run_sequence, run_supervised
from siamcorr.evaluation.results import result_path

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


def by_name(name):
    """For processes of their own, which can only be given a function of a module."""
    return Scripted(step={"still": 0.0, "sliding": 0.5, "threads": torch.get_num_threads()}[name])


@pytest.fixture
def sequence(tmp_path):
    """30 frames, each with its number for a colour."""
    return make(tmp_path / "frames", "walk", 30)


def make(folder, name, count, without=()):
    write_images(folder, count, first=0, name="{:03d}.png")
    boxes = np.tile(INSIDE, (count, 1))
    boxes[list(without)] = math.nan
    return Sequence(name, tuple(sorted(folder.iterdir())), boxes)


def break_frame(sequence, index):
    sequence.frames[index].write_bytes(b"no image")


def table(jobs):
    return {(job.tracker, job.sequence): job.result and job.result.boxes.tolist() for job in jobs}


# once


def test_one_pass(sequence):
    """It is never told of the truth again, also where the target is lost."""
    assert (run_sequence(Scripted(away=range(3, 30)), sequence).boxes[3:] == AWAY).all()
    tracker = Scripted(step=0.5)
    result = run_sequence(tracker, sequence)
    assert tracker.log[0] == ("init", 0, INSIDE)
    assert tracker.frames("init") == [0]
    assert tracker.frames("update") == list(range(1, 30))
    assert result.boxes.tolist() == [[2 + 0.5 * index, 2, 4, 4] for index in range(30)]
    assert result.seconds.shape == (30,)
    assert (result.seconds > 0).all()


def test_frames_without_truth_are_tracked(tmp_path):
    sequence = make(tmp_path / "frames", "walk", 6, without=[2, 3])
    assert np.isfinite(run_sequence(Scripted(), sequence).boxes).all()


def test_no_first_box(tmp_path):
    sequence = make(tmp_path / "frames", "walk", 6, without=[0])
    with pytest.raises(ValueError, match="walk: frame 0 has no box"):
        run_sequence(Scripted(), sequence)


# started again after failures


@pytest.mark.parametrize(
    ("away", "without", "starts", "failures"),
    [
        ((), (), [0], 0),
        ((3,), (), [0, 8], 1),
        ((3, 4, 5, 8), (), [0, 8], 1),  # nobody is asked until the next start, nor judged there
        ((3, 9), (), [0, 8, 14], 2),
        ((3, 10), (), [0, 8, 15], 2),
        ((27,), (), [0], 1),  # the sequence ends before the next start
        ((6,), (6,), [0], 0),  # it may well be away where nobody knows
        ((3,), (5, 6), [0, 8], 1),
        ((3,), (8, 9), [0, 10], 1),
        ((), (0, 1), [2], 0),
        ((), range(30), [], 0),
    ],
)
def test_failures(tmp_path, away, without, starts, failures):
    tracker = Scripted(away)
    assert run_supervised(tracker, make(tmp_path / "frames", "walk", 30, without)) == failures
    assert tracker.frames("init") == starts


def test_every_frame_between_failures_is_shown(tmp_path):
    """Also those without truth: a target does not stand still meanwhile."""
    tracker = Scripted(away=[6])
    run_supervised(tracker, make(tmp_path / "frames", "walk", 15, without=[3, 4]))
    assert tracker.frames("update") == [*range(1, 7), *range(12, 15)]


def test_a_slight_overlap_is_no_failure(sequence):
    assert run_supervised(Scripted(step=0.13), sequence) == 0  # 3.77 of 4 pixels at the end
    assert run_supervised(Scripted(step=0.14), sequence) == 1


# several trackers and sequences


@pytest.mark.parametrize("processes", [1, 2])
def test_evaluate(tmp_path, processes):
    sequences = [make(tmp_path / name, name, count) for name, count in (("a", 4), ("b", 6))]
    names = iter(["still", "sliding"])
    jobs = list(evaluate(by_name, names, iter(sequences), tmp_path / "results", processes))
    assert table(jobs) == {
        (name, s.name): [[2 + step * index, 2, 4, 4] for index in range(len(s))]
        for name, step in (("still", 0), ("sliding", 0.5))
        for s in sequences
    }
    for job in jobs:
        path = result_path(tmp_path / "results", job.tracker, job.sequence)
        found = load_result(path, len(job.result.boxes))
        assert found.boxes.tolist() == job.result.boxes.tolist()


def test_threads(tmp_path):
    """Those of the processes; this one has one."""
    sequence = make(tmp_path / "a", "a", 2)
    (job,) = evaluate(by_name, ["threads"], [sequence], tmp_path / "results", 2, 3)
    assert job.result.boxes[1, 0] == INSIDE[0] + 3
    assert torch.get_num_threads() == 1


def test_killed_and_resumed(tmp_path):
    sequences = [make(tmp_path / name, name, 4) for name in "abc"]
    log = []

    def run_again():
        log.clear()
        jobs = evaluate(
            lambda name: Scripted(step=0.5, log=log), ["x:1", "y"], sequences, tmp_path / "results"
        )
        return table(jobs), sum(entry[0] == "init" for entry in log)

    whole, tracked = run_again()
    assert (len(whole), tracked) == (6, 6)
    assert run_again() == (whole, 0)
    result_path(tmp_path / "results", "x:1", "b").unlink()
    assert run_again() == (whole, 1)


def test_killed_in_the_middle(tmp_path):
    """What was finished before is there."""
    sequences = [make(tmp_path / name, name, 4) for name in "abc"]
    jobs = evaluate(by_name, ["still"], sequences, tmp_path / "results")
    next(jobs), next(jobs)
    jobs.close()
    files = {path.name for path in (tmp_path / "results" / "still").iterdir()}
    assert files == {"a.txt", "a_time.txt", "b.txt", "b_time.txt"}


@pytest.mark.parametrize("gone", [False, True])
def test_a_broken_sequence_costs_itself(tmp_path, gone):
    sequences = [make(tmp_path / name, name, 6) for name in "abc"]
    if gone:
        sequences[1].frames[3].unlink()
    else:
        break_frame(sequences[1], 3)
    jobs = list(evaluate(by_name, ["still", "sliding"], sequences, tmp_path / "results"))
    assert [job.sequence for job in jobs if job.result is None] == ["b", "b"]
    assert all("003.png" in job.problem for job in jobs if job.result is None)
    assert [job.problem for job in jobs if job.result] == [""] * 4
    assert not result_path(tmp_path / "results", "still", "b").exists()


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    """And is no fault of the sequence."""

    def full(path, result):
        raise OSError("No space left on device")

    monkeypatch.setattr(run, "save_result", full)
    with pytest.raises(OSError, match="No space left"):
        list(evaluate(by_name, ["still"], [make(tmp_path / "a", "a", 3)], tmp_path / "results"))
