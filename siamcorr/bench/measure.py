"""Measure times, peak memory, and the limits of the machine."""

import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from siamcorr.ops import kernels

ROUNDS = 2_000_000  # of the register loop, which takes some milliseconds

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
    """Speed of the machine: a large matrix product in FLOP/s, a large copy in bytes/s.

    Attributes:
        registers: multiply-adds without memory access, in FLOP/s; None without the C++ kernels.
    """

    flops: float
    bandwidth: float
    registers: float | None = None


def time_together(works: dict[str, Work], seconds: float, device: str) -> dict[str, Timing]:
    """Time several functions in turns, so that changes of the machine's speed affect all of them.

    A turn is one warm-up run, which does not count, and then some timed runs, because a tracker or
    a training loop also runs the same operator again and again.

    Args:
        works: functions to time, by name.
        seconds: approximate total time. Each function is timed at least five times, or once if a
            run takes longer than `seconds`. The first run does not count, unless it takes more
            than ten times `seconds`.
        device: "cpu" or "cuda"; a GPU is synchronised.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    first = {name: _once(work, device) for name, work in works.items()}  # also the warm-up
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
    """Check the number of frames: the first one only starts the tracker, `warm` are not timed.

    Raises:
        ValueError: no frame is left to time.
    """
    if frames < warm + 2:
        raise ValueError(f"profile: {warm + 2} frames at least, got {frames}")


def measure_limits(dtype: torch.dtype, device: str) -> Limits:
    """Time a large matrix product, a large copy, and multiply-adds in registers."""
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
    """Return the bytes that a function allocates at its peak; None if this is unknown."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    if sys.platform != "linux":
        return None
    ctypes.CDLL(None).malloc_trim(0)  # return freed memory, so that using it again is counted
    try:
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak
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
    """Return a value of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0
