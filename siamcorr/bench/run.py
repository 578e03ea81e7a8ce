"""One row of the benchmark: time a case with every method and with the pasted form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from siamcorr.bench.cases import OPS, Case
from siamcorr.bench.measure import Limits, Timing, peak_memory, time_together
from siamcorr.ops.checks import Method
from siamcorr.ops.plan import choose, predict

MAX_SLOWDOWN = 4.0  # methods with a predicted time above this multiple of the best are not run


@dataclass(frozen=True)
class Row:
    """Measurements of a case: times in seconds, memory in bytes, error relative to float64.

    Attributes:
        share: share of the machine's limit: of the matrix product's FLOP/s for naive and batched,
            of the copy's bytes/s for depthwise.
    """

    case: Case
    chosen: str
    timings: dict[str, Timing]
    memory: dict[str, int | None]
    errors: dict[str, float]
    share: float

    @property
    def ratio(self) -> float:
        """Speed-up of "auto" over the pasted form."""
        return self.timings["pasted"].median / self.timings["auto"].median

    @property
    def flops(self) -> float:
        """Useful FLOP/s of "auto"."""
        return self.case.flops / self.timings["auto"].median

    @property
    def behind_best(self) -> float:
        """Time of "auto" over that of the best single method; 1 is ideal."""
        single = [t.median for name, t in self.timings.items() if name not in ("pasted", "auto")]
        return self.timings["auto"].median / min(single)


def run_case(
    case: Case, limits: Limits, dtype: torch.dtype, device: str, seconds: float = 2.0
) -> Row:
    """Measure one case."""
    search, template = case.tensors(dtype, device)
    predicted = predict("response", case.geometry, dtype, device)
    best = min(predicted.values())
    methods = [name for name, cost in predicted.items() if cost < MAX_SLOWDOWN * best]
    works = {name: _work(case, name, search, template) for name in ("pasted", "auto", *methods)}
    timings = time_together({name: run for name, (run, _) in works.items()}, seconds, device)
    memory = {name: peak_memory(works[name][0], device) for name in ("pasted", "auto")}
    errors = _errors(case, {name: works[name][1] for name in methods}, dtype, device)
    return Row(
        case,
        choose("response", case.geometry, dtype, device),
        timings,
        memory,
        errors,
        _share(case, timings["auto"].median, limits, search.element_size()),
    )


def _work(
    case: Case, name: str, search: Tensor, template: Tensor
) -> tuple[Callable[[], object], Callable[[Tensor, Tensor], Tensor]]:
    """Return the function to time, and the function that computes the response."""

    def response(search: Tensor, template: Tensor) -> Tensor:
        if name == "pasted":
            return case.pasted(search, template)
        return OPS[case.op](search, template, method=cast("Method", name))

    if not case.backward:
        return lambda: response(search, template), response
    search, template = (t.detach().clone().requires_grad_() for t in (search, template))
    grad = torch.ones(case.geometry.response, dtype=search.dtype, device=search.device)

    def step() -> None:
        search.grad = template.grad = None
        response(search, template).backward(grad)  # type: ignore[no-untyped-call]

    return step, response


def _errors(
    case: Case,
    functions: dict[str, Callable[[Tensor, Tensor], Tensor]],
    dtype: torch.dtype,
    device: str,
) -> dict[str, float]:
    """Return the norms of the differences to float64, relative to the float64 response."""
    if case.backward:
        return {}
    search, template = case.tensors(dtype, device)
    exact = OPS[case.op](search.double(), template.double(), method="fft")
    return {
        name: float((function(search, template).double() - exact).norm() / exact.norm())
        for name, function in functions.items()
    }


def _share(case: Case, seconds: float, limits: Limits, itemsize: int) -> float:
    geometry = case.geometry
    if case.op != "depthwise":
        return case.flops / seconds / limits.flops
    cells = 0
    for shape in (geometry.search, geometry.template, geometry.response):
        cells += shape[0] * shape[1] * shape[2] * shape[3]
    return cells * case.passes * itemsize / seconds / limits.bandwidth
