"""Running trackers over sequences: once from the first box, or started again after each failure."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from siamcorr.data.sequences import Sequence
from siamcorr.evaluation.metrics import overlaps
from siamcorr.evaluation.results import Result, load_result, result_path, save_result
from siamcorr.tracking.boxes import Box, Image

GAP = 5  # frames from a failure to the next start, as VOT has it


class Tracking(Protocol):
    """What is evaluated: `siamcorr.Tracker`, or anything like it."""

    def init(self, frame: Image, box_xywh: Box) -> None:
        """Take the target inside the box."""

    def update(self, frame: Image) -> Any:
        """Find it in the next frame; the result has `box_xywh`."""


class Job(NamedTuple):
    """One tracker on one sequence, and what came of it: a result, or the reason why not."""

    tracker: str
    sequence: str
    result: Result | None
    problem: str = ""


def run_sequence(tracker: Tracking, sequence: Sequence) -> Result:
    """One pass, started on the first box; nothing is told of the truth after that.

    Raises:
        ValueError: the first frame has no box, or a frame cannot be read.
    """
    boxes, seconds = [], []
    for index, frame in enumerate(sequence):
        start = time.perf_counter()
        if index == 0:
            box = _box(sequence, 0)
            tracker.init(frame, box)
        else:
            box = tracker.update(frame).box_xywh
        seconds.append(time.perf_counter() - start)
        boxes.append(box)
    if len(boxes) != len(sequence):
        raise ValueError(f"{sequence.name}: {len(boxes)} frames can be read of {len(sequence)}")
    return Result(np.array(boxes, dtype=float), np.array(seconds))


def run_supervised(tracker: Tracking, sequence: Sequence) -> int:
    """How often the target is lost: the tracker is started again after each failure.

    A failure is a box that does not meet the true one; the next start is five frames later, or
    on the first frame after those that has a true box.

    Reference:
        Kristan et al., The Visual Object Tracking VOT2015 challenge results, 2015.
    """
    failures, start, running = 0, 0, False
    for index, frame in enumerate(sequence):
        truth = sequence.boxes[index]
        known = bool(np.isfinite(truth).all())
        if running:
            found = np.array(tracker.update(frame).box_xywh, dtype=float)
            if known and overlaps(found[None], truth[None])[0] == 0:
                failures += 1
                start, running = index + GAP, False
        elif known and index >= start:
            tracker.init(frame, _box(sequence, index))
            running = True
    return failures


def evaluate(
    make: Callable[[str], Tracking],
    names: Iterable[str],
    sequences: Iterable[Sequence],
    folder: str | Path,
    processes: int = 1,
    threads: int | None = None,
) -> Iterator[Job]:
    """Every tracker on every sequence; results that lie in the folder already are taken.

    A sequence that cannot be tracked is told of and costs only itself.

    Args:
        make: a tracker from its name; with several processes a function of a module.
        names: of trackers.
        sequences: to track through.
        folder: where results are written.
        processes: that work side by side.
        threads: that torch may use in each of several processes; None is as many as it likes.

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
    if result is None:
        try:
            result = run_sequence(make(name), sequence)
        except (OSError, ValueError, RuntimeError) as error:
            return Job(name, sequence.name, None, str(error))
        save_result(path, result)
    return Job(name, sequence.name, result)


def _box(sequence: Sequence, index: int) -> Box:
    x, y, w, h = (float(value) for value in sequence.boxes[index])
    if not np.isfinite((x, y, w, h)).all():
        raise ValueError(f"{sequence.name}: frame {index} has no box to start from")
    return x, y, w, h
