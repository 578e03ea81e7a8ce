"""Tracking: frame in, box out."""

from siamcorr.tracking.bidirectional import follow_marks
from siamcorr.tracking.boxes import Box, box_around, box_iou, check_box
from siamcorr.tracking.multi import MultiTracker
from siamcorr.tracking.state import TrackResult
from siamcorr.tracking.tracker import Tracker

__all__ = [
    "Box",
    "MultiTracker",
    "TrackResult",
    "Tracker",
    "box_around",
    "box_iou",
    "check_box",
    "follow_marks",
]
