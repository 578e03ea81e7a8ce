"""Receptive field and total stride of each layer, measured during one forward.

Every torch function call is inspected. A convolution, pooling or correlation with kernel k,
dilation d and stride s turns receptive field r and total stride j into r + (k - 1) d j and s j.
Any other function, for instance a sum or a concatenation, gets the maximum over its inputs. Means
over the whole map and adaptive pooling, which see the whole input, are not counted.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from siamcorr.ops import PreparedTemplate


class Field(NamedTuple):
    """Receptive field of a cell, and distance to the next cell (total stride), in input pixels."""

    height: int = 1
    width: int = 1
    stride_y: int = 1
    stride_x: int = 1


def receptive_fields(module: nn.Module, *inputs: Tensor) -> dict[str, Field]:
    """Measure the receptive field of each submodule's output, in one forward without gradients.

    Args:
        module: its mode does not change.
        inputs: arguments of its forward; the first is the image whose pixels are counted.

    Returns:
        Fields by module name, in the order of the last call; "" is the module itself. Modules whose
        output is not a tensor are left out.

    Example:
        >>> receptive_fields(nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.MaxPool2d(3, 2)),
        ...     torch.rand(1, 3, 31, 31))["1"]
        Field(height=7, width=7, stride_y=4, stride_x=4)
    """
    fields: dict[str, Field] = {}
    with torch.no_grad(), _Tracing(inputs[0]) as tracing:

        def note(name: str) -> Any:
            def hook(_: nn.Module, __: Any, out: Any) -> None:
                if isinstance(out, Tensor) and (field := tracing.field(out)):
                    fields.pop(name, None)
                    fields[name] = field

            return hook

        hooks = [child.register_forward_hook(note(name)) for name, child in module.named_modules()]
        try:
            module(*inputs)
        finally:
            for hook in hooks:
                hook.remove()
    return fields


class _Tracing(TorchFunctionMode):
    """Propagates the field of every tensor through function calls."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        # Keep the tensors alive, so that no id is reused.
        self.known: dict[int, tuple[Tensor, Field]] = {id(image): (image, Field())}

    def field(self, tensor: Tensor) -> Field | None:
        known = self.known.get(id(tensor))
        return known[1] if known else None

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        inputs = _tensors([*args, *kwargs.values()])
        input_fields = [field for tensor in inputs if (field := self.field(tensor))]
        if input_fields:
            field = Field(*(max(sides) for sides in zip(*input_fields, strict=True)))
            kernel = _kernel(getattr(func, "__name__", ""), args, kwargs)
            field = field if kernel is None else _apply_kernel(field, *kernel)
            self.known |= {id(made): (made, field) for made in _tensors([out])}
        return out


def _apply_kernel(field: Field, kernel: list[int], stride: list[int], dilation: list[int]) -> Field:
    return Field(
        field.height + (kernel[0] - 1) * dilation[0] * field.stride_y,
        field.width + (kernel[1] - 1) * dilation[1] * field.stride_x,
        field.stride_y * stride[0],
        field.stride_x * stride[1],
    )


def _kernel(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[int], list[int], list[int]] | None:
    """Kernel, stride and dilation of a sliding-window function; None for any other function."""

    def option(place: int, key: str, default: Any) -> list[int]:
        value = args[place] if len(args) > place else kwargs.get(key, default)
        return [value, value] if isinstance(value, int) else list(value) * (2 // len(value))

    if name.startswith("xcorr_") and name != "xcorr_pixelwise":
        template = args[1]
        if isinstance(template, PreparedTemplate):
            return [*template.template.shape[2:]], [1, 1], 2 * [template.geometry.dilation]
        return [*template.shape[2:]], [1, 1], option(3, "dilation", 1)
    if name == "winograd_conv2d":
        return [3, 3], [1, 1], option(4, "dilation", 1)
    if name == "conv2d":
        weight = args[1] if len(args) > 1 else kwargs["weight"]
        return [*weight.shape[2:]], option(3, "stride", 1), option(5, "dilation", 1)
    if name in ("max_pool2d", "max_pool2d_with_indices"):
        kernel = option(1, "kernel_size", 1)
        stride = option(2, "stride", None) if _has_stride(args, kwargs) else kernel
        return kernel, stride, option(4, "dilation", 1)
    if name == "avg_pool2d":
        kernel = option(1, "kernel_size", 1)
        return kernel, option(2, "stride", None) if _has_stride(args, kwargs) else kernel, [1, 1]
    return None


def _has_stride(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a pooling call has a stride; without one its stride is its kernel size."""
    return bool(args[2] if len(args) > 2 else kwargs.get("stride"))


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
