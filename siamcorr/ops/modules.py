"""The operators as modules without parameters."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from siamcorr.ops.circular import xcorr_circular
from siamcorr.ops.multi import xcorr_multi
from siamcorr.ops.normalized import xcorr_normalized
from siamcorr.ops.pixelwise import xcorr_pixelwise
from siamcorr.ops.xcorr import xcorr_batched, xcorr_depthwise, xcorr_naive


class _Operator(nn.Module):
    """Stores the options of an operator and calls it.

    Raises:
        TypeError: an option that the operator does not have.
    """

    operator: ClassVar[Callable[..., Tensor]]

    def __init__(self, **options: Any) -> None:
        super().__init__()
        name = type(self).operator.__name__
        known = [*inspect.signature(type(self).operator).parameters][2:]
        for option in options:
            if option not in known:
                raise TypeError(f"{type(self).__name__}: {name} has no option {option!r}: {known}")
        self.options = options

    def forward(self, search: Tensor, template: Tensor) -> Tensor:
        """Call the operator on (search, template)."""
        return type(self).operator(search, template, **self.options)

    def extra_repr(self) -> str:
        """The options, as repr shows them."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class XCorrNaive(_Operator):
    """`siamcorr.xcorr_naive` as a module.

    Example:
        >>> XCorrNaive(scale=0.001)
        XCorrNaive(scale=0.001)
    """

    operator = staticmethod(xcorr_naive)


class XCorrBatched(_Operator):
    """`siamcorr.xcorr_batched` as a module."""

    operator = staticmethod(xcorr_batched)


class XCorrDepthwise(_Operator):
    """`siamcorr.xcorr_depthwise` as a module."""

    operator = staticmethod(xcorr_depthwise)


class XCorrPixelwise(_Operator):
    """`siamcorr.xcorr_pixelwise` as a module."""

    operator = staticmethod(xcorr_pixelwise)


class XCorrNormalized(_Operator):
    """`siamcorr.ops.xcorr_normalized` as a module."""

    operator = staticmethod(xcorr_normalized)


class XCorrCircular(_Operator):
    """`siamcorr.ops.xcorr_circular` as a module."""

    operator = staticmethod(xcorr_circular)


class XCorrMulti(_Operator):
    """`siamcorr.ops.xcorr_multi` as a module."""

    operator = staticmethod(xcorr_multi)
