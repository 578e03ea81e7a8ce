"""The planner: which method is the fastest, told from sizes, dtype and device alone.

Every method's work is counted (multiplications, bytes, calls) and priced by constants that were
measured once: `siamcorr bench --fit` writes them to costs.json. Nothing is timed at call time
and no tensor is touched, so the same shapes always get the same method, also inside
torch.compile.

The prices of "cpu" were fitted on two cores of a server. Those of "cuda" are estimates from a
GPU's data sheet and await a fit; `siamcorr bench --fit --device cuda` makes it.
"""

import json
from pathlib import Path
from typing import Literal, cast

import torch

from siamcorr.ops import kernels
from siamcorr.ops.methods import METHODS, fft, triton
from siamcorr.ops.shapes import Computed, Geometry, remembered

Choice = Literal["conv", "gemm", "fft", "native", "triton"]

# seconds for each unit of work: {device: {dtype: {method: {"op computed": [constants]}}}}
COSTS: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = json.loads(
    (Path(__file__).parent / "costs.json").read_text(encoding="utf-8")
)


def work(method: str, geometry: Geometry, prepared: bool = False) -> list[float]:
    """What a method does for a contraction, in counts that `COSTS` has prices for.

    The first is 1, for what a call costs whatever its size. prepared leaves out what a template
    costs that was made ready before.
    """
    if method == "fft":
        return fft.work(geometry, prepared)
    counts: list[float] = METHODS[method].work(geometry)
    return counts


def predict(
    computed: Computed, geometry: Geometry, dtype: torch.dtype, device: str, prepared: bool = False
) -> dict[str, float]:
    """Seconds that each method would take, by the table."""
    table = COSTS.get(device, COSTS["cpu"])
    prices = table.get(str(dtype).removeprefix("torch."), table["float32"])
    seconds = {}
    for method, constants in prices.items():
        if method == "triton" and not triton.available(device):
            continue
        if method == "native" and not kernels.available(device):
            continue
        counts = work(method, geometry, prepared)
        terms = zip(constants[f"{geometry.op} {computed}"], counts, strict=True)
        seconds[method] = sum(price * count for price, count in terms)
    return seconds


@remembered
def choose(
    computed: Computed,
    geometry: Geometry,
    dtype: torch.dtype,
    device: str,
    prepared: bool = False,
    seen: bool = True,
) -> Choice:
    """The method that is predicted to be the fastest.

    Args:
        computed: which of the three tensors of a correlation is computed.
        geometry: the sizes.
        dtype: of the tensors.
        device: its type: "cpu", "cuda".
        prepared: whether the template was made ready before.
        seen: whether `native` can see the tensors, see `siamcorr.ops.kernels.sees`.
    """
    seconds = predict(computed, geometry, dtype, device, prepared)
    if not seen:
        seconds.pop("native", None)
    return cast("Choice", min(seconds, key=seconds.__getitem__))
