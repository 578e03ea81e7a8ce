"""Measuring: times side by side, peak memory, and what the machine itself can do."""

import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from siamcorr.ops import kernels

ROUNDS = 2_000_000  # of the register loop: some milliseconds

Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Median and quartiles of the runs, in seconds."""

    median: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class Limits:
    """What the machine reaches: a large matrix product in FLOP/s, a large copy in bytes/s.

    registers: multiply-adds that touch no memory, in FLOP/s; None where the C++ kernels are not.
    """

    flops: float
    bandwidth: float
    registers: float | None = None


def time_together(works: dict[str, Work], seconds: float, device: str) -> dict[str, Timing]:
    """Time several works in turn, so that a machine that drifts does so for all of them.

    A turn is a warming run that does not count, and then some runs that do: as in a tracker or
    a training loop, where the same operator runs again and again.

    Args:
        works: what to time, by name.
        seconds: about how long it may take together; each is timed at least five times, or
            once if once takes longer than that. The first run is not counted, unless it alone
            took ten times as long as all should.
        device: "cpu" or "cuda"; a GPU is waited for.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    first = {name: _once(work, device) for name, work in works.items()}  # warms up, too
    slow = {name for name, once in first.items() if once > seconds}
    for name in slow:
        endless = first[name] > 10 * seconds
        times[name].append(first[name] if endless else _once(works[name], device))
    rest = sum(once for name, once in first.items() if name not in slow)
    turns = max(5, min(15, int(seconds / max(rest, 1e-6) / 4)))
    for _ in range(turns):
        for name in (name for name in works if name not in slow):
            _once(works[name], device)
            runs = max(1, min(20, int(seconds / turns / len(works) / max(first[name], 1e-6))))
            times[name] += [_once(works[name], device) for _ in range(runs)]
    return {name: _summary(values) for name, values in times.items()}


def check_count(frames: int, warm: int) -> None:
    """Refuse too few frames to time, of which the first `warm` do not count.

    Raises:
        ValueError: none would be left to time, for the very first only starts the tracker.
    """
    if frames < warm + 2:
        raise ValueError(f"profile: {warm + 2} frames at least, got {frames}")


def measure_limits(dtype: torch.dtype, device: str) -> Limits:
    """Time a large matrix product, a large copy, and multiply-adds on registers alone."""
    size = 2048 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device).to(dtype)
    source = torch.ones(1 << 26, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    works: dict[str, Work] = {"product": lambda: a @ a, "copy": lambda: target.copy_(source)}
    made = 0.0
    if kernels.available(device):
        kind = kernels.DTYPES.index(dtype)
        threads = torch.get_num_threads()
        made = kernels.multiply_adds(kind, 1, threads) * ROUNDS
        works["registers"] = lambda: kernels.multiply_adds(kind, ROUNDS, threads)
    timings = time_together(works, 2.0, device)
    flops = 2 * size**3 / timings["product"].median
    registers = made / timings["registers"].median if made else None
    return Limits(flops, 2 * source.numel() / timings["copy"].median, registers)


def peak_memory(work: Work, device: str) -> int | None:
    """Bytes that a work needs beyond what was held before it; None where it cannot be told."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    if sys.platform != "linux":
        return None
    ctypes.CDLL(None).malloc_trim(0)  # hand freed memory back, so that its use shows again
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the last peak
    except OSError:
        return None
    before = _status("VmRSS")
    work()
    return max(0, _status("VmHWM") - before)


def _once(work: Work, device: str) -> float:
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _summary(values: list[float]) -> Timing:
    if len(values) < 2:
        return Timing(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4)
    return Timing(median, low, high, len(values))


def _status(key: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0
