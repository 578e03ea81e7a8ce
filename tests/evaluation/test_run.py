"""Running trackers: frames, stored results, and resumed runs."""

import numpy as np
import pytest
import torch
from scripted import AWAY, INSIDE, Scripted, walk

from siamcorr.evaluation import evaluate, load_result, run, run_sequence
from siamcorr.evaluation.results import result_path


def by_name(name):
    """For processes of their own, which can only be given a function of a module."""
    return Scripted(step={"still": 0.0, "sliding": 0.5, "threads": torch.get_num_threads()}[name])


def break_frame(sequence, index):
    sequence.frames[index].write_bytes(b"no image")


def table(jobs):
    return {(job.tracker, job.sequence): job.result and job.result.boxes.tolist() for job in jobs}


@pytest.fixture
def sequence(tmp_path):
    return walk(tmp_path / "frames", "walk", 30)


# once


def test_one_pass(sequence):
    """It never gets ground truth again, also after a loss."""
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
    sequence = walk(tmp_path / "frames", "walk", 6, without=[2, 3])
    assert np.isfinite(run_sequence(Scripted(), sequence).boxes).all()


def test_no_first_box(tmp_path):
    sequence = walk(tmp_path / "frames", "walk", 6, without=[0])
    with pytest.raises(ValueError, match=r"^frame 0 has no box to start from"):
        run_sequence(Scripted(), sequence)


# several trackers and sequences


@pytest.mark.parametrize("processes", [1, 2])
def test_evaluate(tmp_path, processes):
    sequences = [walk(tmp_path / name, name, count) for name, count in (("a", 4), ("b", 6))]
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
    sequence = walk(tmp_path / "a", "a", 2)
    (job,) = evaluate(by_name, ["threads"], [sequence], tmp_path / "results", 2, 3)
    assert job.result.boxes[1, 0] == INSIDE[0] + 3
    assert torch.get_num_threads() == 1


def test_killed_and_resumed(tmp_path):
    sequences = [walk(tmp_path / name, name, 4) for name in "abc"]
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


@pytest.mark.parametrize(("moved", "tracked"), [(0, 0), (4e-4, 0), (0.01, 1), (np.nan, 0)])
def test_another_first_box_is_another_sequence(moved, tracked, tmp_path):
    """Corrected, or of another dataset; what is stored has fewer digits than what was tracked."""
    sequence, log = walk(tmp_path / "a", "a", 4), []

    def track():
        log.clear()
        make = lambda name: Scripted(log=log)  # noqa: E731
        (job,) = evaluate(make, ["x"], [sequence], tmp_path / "results")
        return job.result

    sequence.boxes[:] += 1 / 3
    assert track().boxes[0, 0] == sequence.boxes[0, 0]
    sequence.boxes[0, 0] += moved
    found = track()
    assert sum(entry[0] == "init" for entry in log) == tracked
    assert (found is None) == bool(np.isnan(moved))
    if found is not None:
        np.testing.assert_allclose(found.boxes[0], sequence.boxes[0], rtol=0, atol=1e-3)


def test_killed_in_the_middle(tmp_path):
    """What was finished before is there."""
    sequences = [walk(tmp_path / name, name, 4) for name in "abc"]
    jobs = evaluate(by_name, ["still"], sequences, tmp_path / "results")
    next(jobs), next(jobs)
    jobs.close()
    files = {path.name for path in (tmp_path / "results" / "still").iterdir()}
    assert files == {"a.txt", "a_time.txt", "b.txt", "b_time.txt"}


@pytest.mark.parametrize("gone", [False, True])
def test_a_broken_sequence_stops_no_other(tmp_path, gone):
    sequences = [walk(tmp_path / name, name, 6) for name in "abc"]
    if gone:
        sequences[1].frames[3].unlink()
    else:
        break_frame(sequences[1], 3)
    jobs = list(evaluate(by_name, ["still", "sliding"], sequences, tmp_path / "results"))
    assert [job.sequence for job in jobs if job.result is None] == ["b", "b"]
    assert all("003.png" in job.problem for job in jobs if job.result is None)
    assert [job.problem for job in jobs if job.result] == [""] * 4
    assert not result_path(tmp_path / "results", "still", "b").exists()


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    """And is no fault of the sequence."""

    def full(path, result):
        raise OSError("No space left on device")

    monkeypatch.setattr(run, "save_result", full)
    with pytest.raises(OSError, match="No space left"):
        list(evaluate(by_name, ["still"], [walk(tmp_path / "a", "a", 3)], tmp_path / "results"))
