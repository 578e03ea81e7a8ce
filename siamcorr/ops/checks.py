"""Argument checks of the correlations, with error texts that show both shapes.

Checks read only shape, dtype and device, never values, so that torch.compile keeps one graph.
"""

from collections.abc import Callable
from numbers import Real
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops.shapes import Geometry, OperatorName, Task
from siamcorr.ops.torch_versions import tracing

Padding = int | Literal["valid", "same"]
Method = Literal["auto", "conv", "gemm", "fft", "native", "triton"]
METHODS = get_args(Method)
LARGEST_PLANE = 2**31 - 1  # cells of a padded search; libraries use 32-bit indices
NUMBERS = (Real, torch.SymFloat, torch.SymInt)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KNOWN_DTYPES = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)


def format_shapes(search: Tensor, template: Tensor) -> str:
    """Both shapes, for the end of an error text."""
    return f"search {tuple(search.shape)}, template {tuple(template.shape)}"


def check_type(op: str, name: str, value: Tensor) -> None:
    """Check that a value is a tensor.

    Raises:
        TypeError: not a torch.Tensor.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{op}: {name} must be a torch.Tensor, got {type(value).__name__}")


def check_tensors(op: str, search: Tensor, template: Tensor, dims: int = 4) -> None:
    """Check type, dimensions, dtype and device of both tensors.

    Raises:
        TypeError: an argument is not a tensor, or dtypes differ or are not floating.
        ValueError: search does not have four dimensions, or the template not `dims`, or devices
            differ.
    """
    check_type(op, "search", search)
    check_type(op, "template", template)
    for name, value, count in (("search", search, 4), ("template", template, dims)):
        if value.ndim != count:
            raise ValueError(
                f"{op}: {name} must have {count} dimensions, got {value.ndim} "
                f"({format_shapes(search, template)})"
            )
    if search.dtype not in DTYPES or search.dtype != template.dtype:
        raise TypeError(
            f"{op}: search and template must have one floating dtype, got {search.dtype} and "
            f"{template.dtype}, known are {KNOWN_DTYPES} ({format_shapes(search, template)})"
        )
    if search.device != template.device:
        raise ValueError(
            f"{op}: search and template must be on one device, "
            f"got {search.device} and {template.device} ({format_shapes(search, template)})"
        )


def check_batch(op: str, search: Tensor, template: Tensor) -> None:
    """Check that the template batch is 1 or the batch of search."""
    if template.shape[0] not in (1, search.shape[0]):
        raise ValueError(
            f"{op}: the template batch must be 1 or that of search, got {template.shape[0]} "
            f"for {search.shape[0]} ({format_shapes(search, template)})"
        )


def check_channels(op: str, search: Tensor, template: Tensor) -> None:
    """Check that search and template have the same number of channels, at least 1."""
    if template.shape[1] != search.shape[1] or search.shape[1] == 0:
        raise ValueError(
            f"{op}: search and template must have equally many channels, got {search.shape[1]} "
            f"and {template.shape[1]} ({format_shapes(search, template)})"
        )


def check_pair(op: OperatorName, search: Tensor, template: Tensor) -> None:
    """Check a pair of tensors for xcorr_{op}."""
    name = f"xcorr_{op}"
    check_tensors(name, search, template)
    if op != "naive":
        check_batch(name, search, template)
    elif template.shape[0] == 0:
        raise ValueError(
            f"{name}: there must be at least one template ({format_shapes(search, template)})"
        )
    if op != "batched":
        check_channels(name, search, template)
    elif not search.shape[1] or not template.shape[1] or template.shape[1] % search.shape[1]:
        raise ValueError(
            f"{name}: the template must have a multiple of search's channels, got "
            f"{template.shape[1]} for {search.shape[1]} ({format_shapes(search, template)})"
        )


def check_options(op: str, dilation: int, method: str) -> None:
    """Check that dilation is an int >= 1, and that the method exists."""
    if type(dilation) is not int or dilation < 1:
        raise ValueError(f"{op}: dilation must be an int >= 1, got {dilation!r}")
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise ValueError(f"{op}: method must be one of {known}, got {method!r}")


def check_scale(op: str, scale: float) -> None:
    """Check that scale is one number that a float can hold.

    Raises:
        TypeError: not a number.
        ValueError: too large for a float, or a tensor with dimensions.
    """
    if isinstance(scale, Tensor):  # a learned scale, or a value in a graph
        if scale.ndim:
            raise ValueError(f"{op}: scale must be one number, got {tuple(scale.shape)}")
        return
    if not isinstance(scale, NUMBERS):
        raise TypeError(f"{op}: scale must be a number, got {type(scale).__name__}")
    if isinstance(scale, int) and scale.bit_length() > 1023:
        raise ValueError(f"{op}: scale must be a number that fits a float")


def pad_search(
    op: str, search: Tensor, template: Tensor, padding: Padding, dilation: int = 1
) -> Tensor:
    """Zero-pad search by `pad_sides`, so that no method needs to pad."""
    sides = pad_sides(op, search, template, padding, dilation)
    return F.pad(search, sides) if sides else search


def pad_sides(
    op: str, search: Tensor, template: Tensor, padding: Padding, dilation: int
) -> list[int] | None:
    """Compute how many zeros to add around search.

    Args:
        op: name of the operator, for the error text.
        search: (B, C, H, W).
        template: (..., h, w); only its size is read.
        padding: zeros on each of the four sides; "valid" is 0; "same" gives a response of
            (H, W), with the smaller half left and top if the halves differ, as in F.conv2d.
        dilation: distance of neighbouring template cells; it makes the template larger.

    Returns:
        Left, right, top, bottom, as F.pad takes them; None for no padding.

    Raises:
        ValueError: unknown, negative or far too large padding; an empty template, or one larger
            than the padded search.
    """
    room_y, room_x = search.shape[2:]
    height = (template.shape[2] - 1) * dilation + 1
    width = (template.shape[3] - 1) * dilation + 1
    sides = [0, 0, 0, 0]
    if padding == "same":
        top, left = (height - 1) // 2, (width - 1) // 2
        sides = [left, width - 1 - left, top, height - 1 - top]
    elif padding != "valid":
        if type(padding) is not int or padding < 0:
            known = 'an int >= 0, "valid" or "same"'
            raise ValueError(f"{op}: padding must be {known}, got {padding!r}")
        sides = [padding] * 4
    room_x, room_y = room_x + sides[0] + sides[1], room_y + sides[2] + sides[3]
    if padding not in ("valid", "same") and room_x * room_y > LARGEST_PLANE:
        raise ValueError(
            f"{op}: padding must leave at most {LARGEST_PLANE} cells a plane, got {padding!r} "
            f"({format_shapes(search, template)})"
        )
    if not (0 < height <= room_y and 0 < width <= room_x):
        raise ValueError(
            f"{op}: the template must lie inside the padded search, got {height}x{width} "
            f"in {room_y}x{room_x} ({format_shapes(search, template)}, padding {padding!r})"
        )
    return sides if any(sides) else None


class Signature:
    """A checked call. Calls with the same sizes, dtypes, devices and options share one.

    op: the operator. sides: zeros around search, as F.pad takes them; None for none.
    task: the response to compute. kind: the type of device. plan: `siamcorr.ops.dispatch` stores
    its plan here.
    """

    __slots__ = ("kind", "op", "plan", "sides", "task")

    def __init__(self, op: OperatorName, sides: list[int] | None, task: Task, kind: str) -> None:
        self.op, self.sides, self.task, self.kind = op, sides, task, kind
        self.plan: tuple[Callable[..., Tensor] | None, bool] | None = None


SIGNATURES = 4096  # size of the cache
_signatures: dict[tuple[object, ...], Signature] = {}


def check_call(
    op: OperatorName,
    search: Tensor,
    template: Tensor,
    padding: Padding,
    dilation: int,
    method: Method,
) -> Signature:
    """Check a call of xcorr_{op}.

    A small correlation takes a tenth of a millisecond, and checks in Python are a fair share of
    that. So a call with the signature of an earlier one is not checked again.
    """
    arguments = op, search, template, padding, dilation, method
    if torch.compiler.is_compiling() or tracing():  # a graph is checked only once anyway
        return _check(*arguments)
    try:
        kinds = search.dtype, template.dtype, search.device, template.device
        options = padding, padding.__class__, dilation, dilation.__class__, method  # 1.0 is not 1
        key = op, search.shape, template.shape, kinds, options
        known = _signatures.get(key)
    except (AttributeError, TypeError):  # wrong types: the checks name them
        return _check(*arguments)
    if known is None:
        known = _check(*arguments)
        if len(_signatures) >= SIGNATURES:
            _signatures.clear()
        _signatures[key] = known
    return known


def _check(
    op: OperatorName,
    search: Tensor,
    template: Tensor,
    padding: Padding,
    dilation: int,
    method: Method,
) -> Signature:
    name = f"xcorr_{op}"
    check_pair(op, search, template)
    check_options(name, dilation, method)
    sides = pad_sides(name, search, template, padding, dilation)
    geometry = Geometry.of(op, search, template, dilation, sides)
    if not torch.compiler.is_compiling() and tracing():
        geometry = geometry.to_integers()  # its sizes are tensors
    return Signature(op, sides, Task("response", geometry, method), search.device.type)
