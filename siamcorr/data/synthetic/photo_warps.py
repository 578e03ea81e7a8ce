"""Pairs from a single photograph: any part of it, and the photograph again, turned and grown."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.data.synthetic.clips import Box, Image

Affine = NDArray[np.float64]


def photo_pair(
    photo: Image, rng: np.random.Generator, later: Image | None = None
) -> list[tuple[Image, Box]]:
    """Two views of some part of a photograph where something is to be seen, see `warped_pair`.

    Args:
        photo: (H, W, 3) RGB.
        rng: chooses the part and the second view.
        later: the same scene a moment later, of the same size, for the second view.
    """
    return warped_pair(photo, [_eventful(photo, rng)], rng, later)[:2]


def warped_pair(
    photo: Image, boxes: Sequence[Box], rng: np.random.Generator, later: Image | None = None
) -> list[tuple[Image, Box]]:
    """Two views of a photograph with the first box's box_xywh; the second again for each other.

    The second view is turned by up to 12 degrees, grown or shrunk by a quarter, stretched a
    little, and moved. A box in it is that of the ellipse within the turned rectangle, for a
    rectangle's own would grow with every turn.

    Args:
        photo: (H, W, 3) RGB.
        boxes: of what is to be seen in it; the first one is the target.
        rng: chooses the second view.
        later: the same scene a moment later, of the same size, for the second view.
    """
    height, width = photo.shape[:2]
    angle = math.radians(rng.uniform(-12, 12))
    scale = math.exp(rng.uniform(-0.22, 0.22))
    stretch = math.exp(rng.uniform(-0.15, 0.15))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([scale * stretch, scale / stretch])
    x, y, w, h = boxes[0]
    middle = np.array([x + w / 2, y + h / 2])
    place = middle + rng.uniform(-0.1, 0.1, size=2) * (width, height)
    # OpenCV counts from pixel centres, we from pixel corners.
    shift = place - linear @ middle + (linear @ (0.5, 0.5) - 0.5)
    affine = np.column_stack([linear, shift])
    second = photo if later is None else later
    view = cv2.warpAffine(second, affine, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    moved = [_moved(box, linear, place - linear @ middle) for box in boxes]
    return [(photo, boxes[0]), *((view.astype(np.uint8), box) for box in moved)]


def _moved(box: Box, linear: Affine, shift: Affine) -> Box:
    x, y, w, h = box
    reach = np.hypot(linear[:, 0] * w / 2, linear[:, 1] * h / 2)
    left, top = linear @ (x + w / 2, y + h / 2) + shift - reach
    return (float(left), float(top), float(2 * reach[0]), float(2 * reach[1]))


def _eventful(photo: Image, rng: np.random.Generator) -> Box:
    """The rectangle with the most contrast of a few by chance."""
    height, width = photo.shape[:2]
    best, found = -1.0, (0.0, 0.0, float(width), float(height))
    for _ in range(4):
        w, h = (min(height, width) * math.exp(rng.uniform(-2.3, -0.9)) for _ in range(2))
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        part = photo[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1]
        contrast = float(part.std(axis=(0, 1)).mean())
        if contrast > best:
            best, found = contrast, (x, y, w, h)
    return found
