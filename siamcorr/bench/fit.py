"""Fit the planner's costs: time every method on many shapes, then solve for the costs."""

from collections.abc import Callable

import torch
from torch import Tensor

from siamcorr.bench.measure import time_together
from siamcorr.ops.compute import ARGUMENTS, compute, usable
from siamcorr.ops.plan import work
from siamcorr.ops.shapes import Computed, Geometry, Op, Task

LONGEST = 4e9  # useful FLOPs of the largest fitted shape: seconds, for the slowest method
WANTS: tuple[Computed, ...] = ("response", "search", "template")
OPS: tuple[Op, ...] = ("batched", "depthwise")
Costs = dict[str, dict[str, list[float]]]


def fit_shapes(op: Op) -> list[Geometry]:
    """Return shapes over the range that trackers use, and somewhat beyond."""
    sizes = [(1, 16), (3, 16), (5, 29), (6, 22), (7, 31), (8, 16), (12, 40), (17, 49), (31, 63)]
    sizes += [(48, 96), (63, 127), (127, 255)]
    shapes = []
    for z, x in sizes:
        for batch, channels, outputs, own in [
            (1, 16, 1, True),
            (1, 256, 1, True),
            (4, 64, 1, True),
            (8, 256, 1, True),
            (32, 256, 1, True),
            (3, 256, 1, False),
            (16, 64, 1, False),
            (1, 64, 10, True),
            (2, 64, 10, True),
            (4, 32, 64, False),
        ]:
            if op == "depthwise" and outputs > 1:
                continue
            template = batch if own else 1, outputs * channels, z, z
            geometry = Geometry(op, (batch, channels, x, x), template)
            if geometry.flops <= LONGEST:
                shapes.append(geometry)
    return shapes


def fit_costs(dtype: torch.dtype, device: str, tell: Callable[[str], None]) -> Costs:
    """Fit the costs of every method for one dtype here, see `siamcorr.ops.plan.COSTS`."""
    costs: Costs = {method: {} for method in usable(torch.device(device).type)}
    for op in OPS:
        for computed in WANTS:
            seen: dict[str, list[tuple[list[float], float]]] = {method: [] for method in costs}
            for geometry in fit_shapes(op):
                if geometry.flops > LONGEST * (1 if dtype == torch.float32 else 0.02):
                    continue  # conv2d runs group by group for these dtypes and takes seconds
                for method, seconds in _time(computed, geometry, dtype, device).items():
                    seen[method].append((work(method, geometry, computed), seconds))
            for method, samples in seen.items():
                costs[method][f"{op} {computed}"], error = solve(samples)
                tell(f"{op} {computed} by {method}: typical error {error:.0%}")
    return costs


def solve(samples: list[tuple[list[float], float]]) -> tuple[list[float], float]:
    """Return costs >= 0 with the least squared relative error, and the median error.

    Multiplicative updates keep the costs positive (Lee and Seung, 2001).
    """
    counts = torch.tensor([counts for counts, _ in samples], dtype=torch.float64)
    seconds = torch.tensor([seconds for _, seconds in samples], dtype=torch.float64)
    scale = counts.amax(dim=0).clamp(min=1)
    rows = counts / scale / seconds[:, None]  # rows @ costs should be 1 everywhere
    costs = torch.full((rows.shape[1],), float(seconds.median()), dtype=torch.float64)
    for _ in range(20_000):
        costs *= rows.sum(dim=0) / (rows.T @ (rows @ costs)).clamp(min=1e-300)
    error = (rows @ costs - 1).abs().median()
    return [float(f"{cost:.3g}") for cost in costs / scale], float(error)


def _time(
    computed: Computed, geometry: Geometry, dtype: torch.dtype, device: str
) -> dict[str, float]:
    """Return the median seconds of each method for a contraction."""
    sizes = {
        "search": geometry.search,
        "template": geometry.template,
        "response": geometry.response,
    }
    first, second = (
        torch.randn(sizes[name], device=device).to(dtype) for name in ARGUMENTS[computed]
    )

    def by(method: str) -> Callable[[], Tensor]:
        return lambda: compute(first, second, Task(computed, geometry, method))

    timings = time_together(
        {method: by(method) for method in usable(torch.device(device).type)}, 0.15, device
    )
    return {method: timing.median for method, timing in timings.items()}
