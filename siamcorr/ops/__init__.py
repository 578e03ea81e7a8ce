"""Correlation operators: pure functions on tensors, in the order (search, template)."""

from siamcorr.ops.circular import xcorr_circular
from siamcorr.ops.explain import explain
from siamcorr.ops.modules import (
    XCorrBatched,
    XCorrCircular,
    XCorrDepthwise,
    XCorrMulti,
    XCorrNaive,
    XCorrNormalized,
    XCorrPixelwise,
)
from siamcorr.ops.multi import xcorr_multi
from siamcorr.ops.normalized import xcorr_normalized
from siamcorr.ops.pixelwise import xcorr_pixelwise
from siamcorr.ops.prepare import PreparedTemplate, prepare
from siamcorr.ops.xcorr import xcorr_batched, xcorr_depthwise, xcorr_naive

__all__ = [
    "PreparedTemplate",
    "XCorrBatched",
    "XCorrCircular",
    "XCorrDepthwise",
    "XCorrMulti",
    "XCorrNaive",
    "XCorrNormalized",
    "XCorrPixelwise",
    "explain",
    "prepare",
    "xcorr_batched",
    "xcorr_circular",
    "xcorr_depthwise",
    "xcorr_multi",
    "xcorr_naive",
    "xcorr_normalized",
    "xcorr_pixelwise",
]
