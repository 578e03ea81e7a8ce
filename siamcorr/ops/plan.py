"""The planner: which method is the fastest, told from sizes, dtype and device alone.

Every method's work is counted (multiplications, bytes, calls) and priced by constants that were
measured once: `siamcorr bench --fit` writes them to costs.json. Nothing is timed at call time
and no tensor is touched, so the same shapes always get the same method, also inside
torch.compile.
"""

import json
import math
from pathlib import Path
from typing import Literal, cast

import torch

from siamcorr.ops.geometry import Geometry, Want, remembered
from siamcorr.ops.methods import fft, gemm

Choice = Literal["conv", "gemm", "fft", "triton"]

# seconds for each unit of work: {device: {dtype: {method: {"op want": [constants]}}}}
COSTS: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = json.loads(
    (Path(__file__).parent / "costs.json").read_text(encoding="utf-8")
)


def work(method: str, geometry: Geometry, prepared: bool = False) -> list[float]:
    """What a method does for a contraction, in counts that `COSTS` has prices for.

    The first is 1, for what a call costs whatever its size. prepared leaves out what a template
    costs that was made ready before.
    """
    batch, channels = geometry.search[:2]
    tensors = sum(map(math.prod, (geometry.search, geometry.template, geometry.response)))
    if method == "fft":
        rows, columns = fft.transform_size(geometry)
        templates = 0 if prepared else geometry.template[0] * geometry.template[1]
        responses = batch * geometry.response[1]
        plane = rows * columns
        planes = batch * channels + templates + responses
        products = batch * geometry.outputs * channels * plane
        return [1.0, planes * plane * math.log2(plane), float(products)]
    if method == "gemm" and geometry.op == "batched":
        parts = gemm.pieces(geometry, 4)
        product = sum(_elements(part, geometry) for part in parts)
        flops = 2.0 * product * channels
        packed = flops / (2 * geometry.template[3] * geometry.outputs)
        return [1.0, float(len(parts)), flops, packed, float(product), float(tensors)]
    if method == "gemm":
        return [1.0, float(geometry.flops), float(tensors * geometry.template[3])]
    if geometry.op == "batched":
        grouped = geometry.template[0] > 1
        flops = float(geometry.flops)
        return [1.0, flops / geometry.outputs, flops, flops * grouped, float(tensors)]
    return [1.0, float(geometry.flops), float(tensors)]


def _elements(piece: gemm.Piece, geometry: Geometry) -> int:
    """Elements of the intermediate of a piece of the matrix product."""
    elements = geometry.template[3] * geometry.search[3]
    for axis in (piece.batch, piece.outputs, piece.cells, piece.search_rows(geometry.dilation)):
        elements *= axis.stop - axis.start
    return elements


def predict(
    want: Want, geometry: Geometry, dtype: torch.dtype, device: str, prepared: bool = False
) -> dict[str, float]:
    """Seconds that each method would take, by the table."""
    table = COSTS.get(device, COSTS["cpu"])
    prices = table.get(str(dtype).removeprefix("torch."), table["float32"])
    seconds = {}
    for method, constants in prices.items():
        counts = work(method, geometry, prepared)
        terms = zip(constants[f"{geometry.op} {want}"], counts, strict=True)
        seconds[method] = sum(price * count for price, count in terms)
    return seconds


@remembered
def choose(
    want: Want, geometry: Geometry, dtype: torch.dtype, device: str, prepared: bool = False
) -> Choice:
    """The method that is predicted to be the fastest.

    Args:
        want: which of the three tensors of a correlation is computed.
        geometry: the sizes.
        dtype: of the tensors.
        device: its type: "cpu", "cuda".
        prepared: whether the template was made ready before.
    """
    seconds = predict(want, geometry, dtype, device, prepared)
    return cast("Choice", min(seconds, key=seconds.__getitem__))
