"""Correlation operators: pure functions on tensors, in the order (search, template)."""

from siamcorr.ops.pixelwise import xcorr_pixelwise
from siamcorr.ops.xcorr import xcorr_batched, xcorr_depthwise, xcorr_naive

__all__ = ["xcorr_batched", "xcorr_depthwise", "xcorr_naive", "xcorr_pixelwise"]
