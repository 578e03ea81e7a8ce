"""Explain the planner's choice of a method, with its predicted costs."""

from collections.abc import Sequence
from typing import get_args

import torch

from siamcorr.ops import kernels
from siamcorr.ops.checks import Padding, check_call
from siamcorr.ops.plan import choose, predict
from siamcorr.ops.shapes import Computed, OperatorName


def explain(
    search_shape: Sequence[int],
    template_shape: Sequence[int],
    *,
    op: OperatorName = "depthwise",
    padding: Padding = "valid",
    dilation: int = 1,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> None:
    """Print which method "auto" chooses for these shapes, and the predicted time of each method.

    On a CPU, also print the variant of the C++ kernels in use.

    Args:
        search_shape: (B, C, H, W).
        template_shape: as the operator takes it.
        op: the operator, without "xcorr_".
        padding: as in `siamcorr.xcorr_naive`.
        dilation: as in `siamcorr.xcorr_naive`.
        dtype: of the tensors.
        device: of the tensors: "cpu", "cuda", "cuda:1".

    Raises:
        ValueError: unknown op or device, or shapes or a dilation that the operator refuses.

    Example:
        >>> explain((8, 256, 22, 22), (8, 256, 6, 6), op="batched")  # doctest: +ELLIPSIS
        xcorr_batched: search (8, 256, 22, 22), template (8, 256, 6, 6), torch.float32 on cpu
          response (8, 1, 17, 17): ...
          native kernels: ...
    """
    if op not in get_args(OperatorName):
        raise ValueError(
            f"explain: op must be one of {', '.join(get_args(OperatorName))}, got {op!r}"
        )
    try:
        kind = torch.device(device).type
        search, template = (
            torch.empty(tuple(shape), dtype=dtype, device="meta")
            for shape in (search_shape, template_shape)
        )
    except RuntimeError as error:
        raise ValueError(f"explain: {str(error).splitlines()[0]}") from None
    geometry = check_call(op, search, template, padding, dilation, "auto").task.geometry
    print(
        f"xcorr_{op}: search {tuple(search_shape)}, template {tuple(template_shape)}, "
        f"{dtype} on {device}"
    )
    titles: dict[Computed, str] = {
        "response": f"response {geometry.response}",
        "search": "gradient of search",
        "template": "gradient of template",
    }
    for computed, title in titles.items():
        costs = predict(computed, geometry, dtype, kind)
        chosen = choose(computed, geometry, dtype, kind)
        listing = ", ".join(f"{name} {cost * 1e3:.3g} ms" for name, cost in costs.items())
        print(f"  {title}: {chosen} (predicted: {listing})")
    if kind == "cpu":
        print(f"  native kernels: {kernels.VARIANT or 'none'}")
