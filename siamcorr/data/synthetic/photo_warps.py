"""Pairs from a single photograph: the photograph and a random affine warp of it."""

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
    """Two views of a random part of a photograph that has some contrast, see `warped_pair`.

    Args:
        photo: (H, W, 3) RGB.
        rng: chooses the part and the second view.
        later: the same scene a moment later, of the same size, for the second view.
    """
    return warped_pair(photo, [_choose_part(photo, rng)], rng, later)[:2]


def warped_pair(
    photo: Image, boxes: Sequence[Box], rng: np.random.Generator, later: Image | None = None
) -> list[tuple[Image, Box]]:
    """Two views of a photograph with the target's box_xywh, then the second with each other box.

    The second view is rotated by up to 12 degrees, scaled by up to a quarter, slightly stretched,
    and shifted. Its boxes are those of the ellipse inside the rotated rectangle, since the
    rectangle's own box would grow with every rotation.

    Args:
        photo: (H, W, 3) RGB.
        boxes: of objects in it; the first one is the target.
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
    # OpenCV's coordinates start at pixel centres, ours at pixel corners.
    shift = place - linear @ middle + (linear @ (0.5, 0.5) - 0.5)
    affine = np.column_stack([linear, shift])
    second = photo if later is None else later
    view = cv2.warpAffine(second, affine, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    warped = [_warp_box(box, linear, place - linear @ middle) for box in boxes]
    return [(photo, boxes[0]), *((view.astype(np.uint8), box) for box in warped)]


def _warp_box(box: Box, linear: Affine, shift: Affine) -> Box:
    x, y, w, h = box
    reach = np.hypot(linear[:, 0] * w / 2, linear[:, 1] * h / 2)
    left, top = linear @ (x + w / 2, y + h / 2) + shift - reach
    return (float(left), float(top), float(2 * reach[0]), float(2 * reach[1]))


def _choose_part(photo: Image, rng: np.random.Generator) -> Box:
    """The rectangle with the most contrast of four random ones."""
    height, width = photo.shape[:2]
    best, found = -1.0, (0.0, 0.0, float(width), float(height))
    for _ in range(4):
        w, h = (min(height, width) * math.exp(rng.uniform(-2.3, -0.9)) for _ in range(2))
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        part = photo[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1]
        contrast = float(cv2.meanStdDev(part)[1].mean())
        if contrast > best:
            best, found = contrast, (x, y, w, h)
    return found
