"""Running trackers over sequences, each once from the first box; results are kept on disk."""

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

ROUNDING = 1e-3  # pixels by which a stored box may differ from the one that was written


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
            box = start_box(sequence, 0)
            tracker.init(frame, box)
        else:
            box = tracker.update(frame).box_xywh
        seconds.append(time.perf_counter() - start)
        boxes.append(box)
    if len(boxes) != len(sequence):
        raise ValueError(f"{len(boxes)} frames can be read of {len(sequence)}")
    return Result(np.array(boxes, dtype=float), np.array(seconds))


def start_box(sequence: Sequence, index: int) -> Box:
    """The true box of a frame.

    Raises:
        ValueError: nobody drew one.
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
    """Every tracker on every sequence; results that lie in the folder already are taken.

    Those that were begun with another box are of other data, and tracked again.

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
    if result is None or not np.allclose(result.boxes[0], sequence.boxes[0], 0, ROUNDING):
        try:
            result = run_sequence(make(name), sequence)
        except (OSError, ValueError, RuntimeError) as error:
            return Job(name, sequence.name, None, str(error))
        save_result(path, result)
    return Job(name, sequence.name, result)
