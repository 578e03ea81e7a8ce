"""Run trackers over sequences, once each from the first box; results are stored on disk."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.evaluation.results import Result, load_result, result_path, save_result
from siamcorr.tracking.boxes import Box, Image

ROUNDING = 1e-3  # tolerance for the first box of a stored result, in pixels


class Tracking(Protocol):
    """Interface of an evaluated tracker, such as `siamcorr.Tracker`."""

    def init(self, frame: Image, box_xywh: Box) -> None:
        """Start on the target inside the box."""

    def update(self, frame: Image) -> Any:
        """Find the target in the next frame; the result has `box_xywh`."""


class Job(NamedTuple):
    """One tracker on one sequence, with its result, or None and the problem."""

    tracker: str
    sequence: str
    result: Result | None
    problem: str = ""


def run_sequence(tracker: Tracking, sequence: Sequence) -> Result:
    """Track one sequence from its first box; the tracker gets no other ground truth.

    Raises:
        ValueError: the first frame has no box, or a frame cannot be read.
    """
    boxes, seconds = [], []
    for index, frame in enumerate(sequence):
        start = time.perf_counter()
        if index == 0:
            box = start_box(sequence, 0)
            tracker.init(frame, box)
        else:
            box = tracker.update(frame).box_xywh
        seconds.append(time.perf_counter() - start)
        boxes.append(box)
    if len(boxes) != len(sequence):
        raise ValueError(f"only {len(boxes)} of {len(sequence)} frames can be read")
    return Result(np.array(boxes, dtype=float), np.array(seconds))


def start_box(sequence: Sequence, index: int) -> Box:
    """Return the true box of a frame.

    Raises:
        ValueError: the frame has no true box.
    """
    x, y, w, h = (float(value) for value in sequence.boxes[index])
    if not np.isfinite((x, y, w, h)).all():
        raise ValueError(f"frame {index} has no box to start from")
    return x, y, w, h


def evaluate(
    make: Callable[[str], Tracking],
    names: Iterable[str],
    sequences: Iterable[Sequence],
    folder: str | Path,
    processes: int = 1,
    threads: int | None = None,
) -> Iterator[Job]:
    """Run every tracker on every sequence; results that are already in the folder are reused.

    A stored result with another first box belongs to other data, so that sequence is tracked
    again. A sequence that cannot be tracked yields a job with a problem.

    Args:
        make: makes a tracker from its name; for several processes, a function of a module.
        names: names of the trackers.
        sequences: the sequences.
        folder: folder of the results.
        processes: processes in parallel.
        threads: torch's threads in each of several processes; None is torch's default.

    Raises:
        OSError: a result cannot be written.
    """
    listed = list(sequences)
    tasks = [(make, name, sequence, Path(folder)) for name in names for sequence in listed]
    if processes == 1:
        yield from map(_run, tasks)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, _set_threads, (threads,)) as pool:
        yield from pool.map(_run, tasks)


def _set_threads(count: int | None) -> None:
    if count is not None:
        torch.set_num_threads(count)


def _run(task: tuple[Callable[[str], Tracking], str, Sequence, Path]) -> Job:
    make, name, sequence, folder = task
    path = result_path(folder, name, sequence.name)
    result = load_result(path, len(sequence))
    if result is None or not np.allclose(result.boxes[0], sequence.boxes[0], 0, ROUNDING):
        try:
            result = run_sequence(make(name), sequence)
        except (OSError, ValueError, RuntimeError) as error:
            return Job(name, sequence.name, None, str(error))
        save_result(path, result)
    return Job(name, sequence.name, result)
