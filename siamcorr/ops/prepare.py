"""Prepare a template once for many searches: a tracker uses one template for a whole video."""

from dataclasses import dataclass

import torch
from torch import Tensor

from siamcorr.ops.checks import (
    DTYPES,
    KNOWN_DTYPES,
    Method,
    Padding,
    check_options,
    check_scale,
    check_tensors,
    check_type,
    pad_sides,
)
from siamcorr.ops.methods import fft
from siamcorr.ops.plan import choose
from siamcorr.ops.shapes import Geometry, OperatorName


@dataclass(frozen=True, eq=False)
class PreparedTemplate:
    """A template in the form that its method needs; pass it instead of the template.

    It includes the options, and the size, dtype and device of the searches. It gets no gradient.

    Attributes:
        op: the operator that takes it.
        method: the method that it was prepared for.
        template: scaled, in the memory layout of the method.
        spectrum: its FFT, for method fft.
    """

    op: OperatorName
    method: Method
    template: Tensor
    spectrum: Tensor | None
    geometry: Geometry
    search_size: tuple[int, int]
    padding: Padding


def prepare(
    template: Tensor,
    search_size: tuple[int, int],
    *,
    channels: int | None = None,
    op: OperatorName = "depthwise",
    padding: Padding = "valid",
    dilation: int = 1,
    scale: float = 1.0,
    method: Method = "auto",
) -> PreparedTemplate:
    """Prepare a template: do all work that does not depend on the search.

    Args:
        template: z, as the operator takes it.
        search_size: (H, W) of the searches.
        channels: C of the searches; needed only for "batched" with O > 1.
        op: "naive", "batched" or "depthwise".
        padding: as in `siamcorr.xcorr_naive`.
        dilation: as in `siamcorr.xcorr_naive`.
        scale: as in `siamcorr.xcorr_naive`.
        method: as in `siamcorr.xcorr_naive`; "auto" does not count the work for the template.

    Raises:
        TypeError: not a floating tensor.
        ValueError: unknown op or method, wrong sizes, a template larger than the padded search,
            channels that do not divide the template's.

    Example:
        >>> import torch
        >>> from siamcorr import xcorr_depthwise
        >>> ready = prepare(torch.rand(1, 8, 31, 31), (63, 63))
        >>> xcorr_depthwise(torch.rand(4, 8, 63, 63), ready).shape
        torch.Size([4, 8, 33, 33])
    """
    if op not in ("naive", "batched", "depthwise"):
        raise ValueError(f'prepare: op must be "naive", "batched" or "depthwise", got {op!r}')
    check_options("prepare", dilation, method)
    check_type("prepare", "template", template)
    if template.dtype not in DTYPES:
        raise TypeError(f"prepare: template must be one of {KNOWN_DTYPES}, got {template.dtype}")
    if template.ndim != 4:
        raise ValueError(
            f"prepare: template must have 4 dimensions, got {template.ndim} "
            f"(template {tuple(template.shape)})"
        )
    if len(search_size) != 2 or not all(type(side) is int and side > 0 for side in search_size):
        raise ValueError(f"prepare: search_size must be two ints >= 1, got {search_size!r}")
    check_scale("prepare", scale)
    channels = template.shape[1] if channels is None else channels
    if (
        channels < 1
        or 0 in template.shape[:2]
        or template.shape[1] % channels
        or (op != "batched" and template.shape[1] != channels)
    ):
        raise ValueError(
            f"prepare: {channels} channels do not fit the template {tuple(template.shape)}"
        )
    batch = 1 if op == "naive" else template.shape[0]
    example = torch.empty(batch, channels, *search_size, dtype=template.dtype, device="meta")
    sides = pad_sides("prepare", example, template, padding, dilation)
    geometry = Geometry.of(op, example, template, dilation, sides)
    template = (template.detach() * scale).reshape(geometry.template)
    if method == "auto":
        method = choose("response", geometry, template.dtype, template.device.type, True)
    spectrum = None
    if method == "fft":
        wide = template.to(torch.promote_types(template.dtype, torch.float32))
        spectrum = fft.template_spectrum(wide, geometry)
    elif method == "gemm":  # its matrix is (h*w, C), which is channels_last
        template = template.contiguous(memory_format=torch.channels_last)
    return PreparedTemplate(op, method, template, spectrum, geometry, search_size, padding)


def check_prepared(op: str, search: Tensor, ready: PreparedTemplate) -> None:
    """Check that the template was prepared for this operator and search."""
    check_tensors(op, search, ready.template)
    expected = (ready.geometry.search[1], *ready.search_size)
    if f"xcorr_{ready.op}" != op or search.shape[1:] != expected:
        raise ValueError(
            f"{op}: the template was prepared for xcorr_{ready.op} on searches (B, C, H, W) = "
            f"(B, {', '.join(map(str, expected))}), got search {tuple(search.shape)}"
        )
    if ready.template.shape[0] not in (1, search.shape[0]):
        raise ValueError(
            f"{op}: {ready.template.shape[0]} templates were prepared, "
            f"got {search.shape[0]} searches"
        )
