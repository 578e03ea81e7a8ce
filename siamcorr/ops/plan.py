"""The planner: predict the fastest method from sizes, dtype and device.

The predicted time is the method's work (multiplications, bytes, calls) times costs that were
measured once: `siamcorr bench --fit` writes them to costs.json. No call is timed and no tensor is
read, so the same shapes always get the same method, also inside torch.compile.

The costs of "cpu" were fitted on two cores of a server. Those of "cuda" are estimates from a GPU's
data sheet; `siamcorr bench --fit --device cuda` replaces them.
"""

import json
from pathlib import Path
from typing import Literal, cast

import torch

from siamcorr.ops import kernels
from siamcorr.ops.methods import METHODS, fft, triton
from siamcorr.ops.shapes import Computed, Geometry, memoize

Choice = Literal["conv", "gemm", "fft", "native", "triton"]

# seconds for each unit of work: {device: {dtype: {method: {"op computed": [constants]}}}}
COSTS: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = json.loads(
    (Path(__file__).parent / "costs.json").read_text(encoding="utf-8")
)


def work(
    method: str, geometry: Geometry, computed: Computed, prepared: bool = False
) -> list[float]:
    """Count the work of a method for a contraction, in the units of `COSTS`.

    The first count is 1, for the fixed cost of a call. prepared omits the work for a template that
    was prepared before.
    """
    if method == "fft":
        return fft.work(geometry, prepared)
    counts: list[float]
    if method in ("conv", "native"):  # their padding and empty lanes differ
        counts = METHODS[method].work(geometry, computed)
    else:
        counts = METHODS[method].work(geometry)
    return counts


def predict(
    computed: Computed, geometry: Geometry, dtype: torch.dtype, device: str, prepared: bool = False
) -> dict[str, float]:
    """Predict the seconds that each method takes."""
    table = COSTS.get(device, COSTS["cpu"])
    prices = table.get(str(dtype).removeprefix("torch."), table["float32"])
    seconds = {}
    for method, constants in prices.items():
        if method == "triton" and not triton.available(device):
            continue
        if method == "native" and not kernels.available(device):
            continue
        counts = work(method, geometry, computed, prepared)
        terms = zip(constants[f"{geometry.op} {computed}"], counts, strict=True)
        seconds[method] = sum(price * count for price, count in terms)
    return seconds


@memoize
def choose(
    computed: Computed,
    geometry: Geometry,
    dtype: torch.dtype,
    device: str,
    prepared: bool = False,
    readable: bool = True,
) -> Choice:
    """Choose the method with the shortest predicted time.

    Args:
        computed: which of the three tensors of a correlation to compute.
        geometry: the sizes.
        dtype: of the tensors.
        device: its type: "cpu", "cuda".
        prepared: whether the template was prepared before.
        readable: whether `native` can read the tensors, see `siamcorr.ops.kernels.can_read`.
    """
    seconds = predict(computed, geometry, dtype, device, prepared)
    if not readable:
        seconds.pop("native", None)
    return cast("Choice", min(seconds, key=seconds.__getitem__))
