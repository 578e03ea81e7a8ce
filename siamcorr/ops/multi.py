"""Correlation with several templates of one target at once."""

from typing import Literal

from torch import Tensor

from siamcorr.ops.checks import Method, Padding, check_batch, check_tensors, check_type
from siamcorr.ops.xcorr import xcorr_batched

Reduction = Literal["none", "mean", "max"]


def xcorr_multi(
    search: Tensor,
    templates: Tensor,
    *,
    reduction: Reduction = "mean",
    padding: Padding = "valid",
    dilation: int = 1,
    scale: float = 1.0,
    method: Method = "auto",
) -> Tensor:
    """Correlate each search with its own K templates, and combine the K responses.

    Args:
        search: x, (B, C, H, W).
        templates: z, (B, K, C, h, w). A batch of 1 serves every search.
        reduction: "mean" or "max" over the K responses, or "none" to keep them.
        padding: as in `siamcorr.xcorr_naive`.
        dilation: as in `siamcorr.xcorr_naive`.
        scale: as in `siamcorr.xcorr_naive`.
        method: as in `siamcorr.xcorr_naive`.

    Returns:
        (B, 1, H', W'), or (B, K, H', W') for "none"; the dtype of search.

    Raises:
        TypeError: not tensors, or not of one floating dtype.
        ValueError: templates that do not have five dimensions, K = 0, other channels than search,
            an unknown reduction, and all that `siamcorr.xcorr_batched` refuses.

    Example:
        >>> import torch
        >>> xcorr_multi(torch.rand(2, 8, 22, 22), torch.rand(2, 5, 8, 6, 6)).shape
        torch.Size([2, 1, 17, 17])
    """
    if reduction not in ("none", "mean", "max"):
        known = '"none", "mean" or "max"'
        raise ValueError(f"xcorr_multi: reduction must be {known}, got {reduction!r}")
    check_type("xcorr_multi", "search", search)
    check_type("xcorr_multi", "templates", templates)
    if templates.ndim != 5 or templates.shape[1] == 0:
        raise ValueError(
            f"xcorr_multi: templates must be (B, K, C, h, w) with K >= 1, "
            f"got {tuple(templates.shape)} for search {tuple(search.shape)}"
        )
    if search.ndim == 4 and templates.shape[2] != search.shape[1]:
        raise ValueError(
            f"xcorr_multi: search and templates must have equally many channels, got "
            f"{search.shape[1]} and {templates.shape[2]} "
            f"(search {tuple(search.shape)}, templates {tuple(templates.shape)})"
        )
    check_tensors("xcorr_multi", search, templates, dims=5)
    check_batch("xcorr_multi", search, templates)
    # The correlation is linear: the mean of the responses is the response to the mean template.
    joined = templates.mean(dim=1) if reduction == "mean" else templates.flatten(1, 2)
    response = xcorr_batched(
        search, joined, padding=padding, dilation=dilation, scale=scale, method=method
    )
    return response.amax(dim=1, keepdim=True) if reduction == "max" else response
