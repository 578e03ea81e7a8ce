"""siamcorr: correlation operators, networks and trackers of the Siamese family."""

from siamcorr.models import build_model
from siamcorr.ops import (
    explain,
    prepare,
    xcorr_batched,
    xcorr_depthwise,
    xcorr_naive,
    xcorr_normalized,
    xcorr_pixelwise,
)
from siamcorr.tracking import MultiTracker, Tracker, TrackResult, follow_marks

__version__ = "0.2.0"

__all__ = [
    "MultiTracker",
    "TrackResult",
    "Tracker",
    "build_model",
    "explain",
    "follow_marks",
    "prepare",
    "xcorr_batched",
    "xcorr_depthwise",
    "xcorr_naive",
    "xcorr_normalized",
    "xcorr_pixelwise",
]
