"""Convert between pixels of the frame and of the window."""

from dataclasses import replace

import cv2
import numpy as np

from siamcorr.media.display_window import Input
from siamcorr.tracking import Box, TrackResult
from siamcorr.tracking.boxes import Image

SMALLEST, LARGEST = 640, 1280  # pixels of the window's longer side


def zoom_of(image: Image) -> float:
    """Window pixels per frame pixel: small frames are enlarged, large ones shrunk.

    Example:
        >>> import numpy as np
        >>> [zoom_of(np.zeros((8, side, 3), np.uint8)) for side in (320, 800, 2560)]
        [2.0, 1.0, 0.5]
    """
    longest = max(image.shape[:2])
    return float(min(max(SMALLEST / longest, 1.0), LARGEST / longest))


def zoomed(image: Image) -> Image:
    """Resize a frame for the window."""
    zoom = zoom_of(image)
    size = [round(side * zoom) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def to_window(result: TrackResult, zoom: float) -> TrackResult:
    """Convert a result to window pixels."""
    region = None if result.region is None else _scale(result.region, zoom)
    return replace(result, box_xywh=_scale(result.box_xywh, zoom), region=region)


def to_frame(done: Input, zoom: float) -> Input:
    """Convert the input of a window to frame pixels."""
    drawn = None if done.drawn is None else _scale(done.drawn, 1 / zoom)
    return replace(done, mouse=(done.mouse[0] / zoom, done.mouse[1] / zoom), drawn=drawn)


def _scale(box: Box, zoom: float) -> Box:
    x, y, w, h = (value * zoom for value in box)
    return x, y, w, h
