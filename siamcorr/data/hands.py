"""A hand that holds something: the arm behind it, the fingers before it, moving as it moves."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.data.synthetic import Plane

Points = NDArray[np.float64]


class Hand:
    """An arm from beyond the frame to a thing that it holds.

    The thing is four corners, as `Actor.corners` gives them. In its own coordinates its middle is
    (0, 0) and its sides are at -1 and 1; there the grip and the fingers keep their place while
    the thing turns and grows.

    Args:
        rng: every choice is made here, once.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.color = _skin(rng)
        self.angle = rng.uniform(0, 2 * math.pi)  # where the arm comes from
        self.width = rng.uniform(0.25, 0.55)  # of the arm, as a share of the thing's shorter side
        toward = np.array([math.cos(self.angle), math.sin(self.angle)])
        side = np.array([-toward[1], toward[0]])
        self.grip = toward * rng.uniform(0.3, 0.8) + side * rng.uniform(-0.4, 0.4)
        self.count = int(rng.integers(1, 5))
        self.length = rng.uniform(0.3, 1.0)
        self.spread = rng.uniform(0.15, 0.4)

    def paste_arm(self, image: Plane, corners: NDArray[np.float32]) -> None:
        """Draw the arm over an image, in place, before what it holds is laid over both."""
        grip, _, _ = self._frame(corners)
        toward = np.array([math.cos(self.angle), math.sin(self.angle)])
        end = grip + toward * 2 * max(image.shape[:2])
        _stroke(image, grip, end, self.width * _shorter(corners), self.color)

    def paste_fingers(self, image: Plane, corners: NDArray[np.float32]) -> None:
        """Draw the fingers over an image and the thing in it, in place."""
        grip, toward, side = self._frame(corners)
        for finger in range(self.count):
            offset = side * self.spread * (finger - (self.count - 1) / 2)
            reach = self.length * (1 - 0.15 * abs(finger - (self.count - 1) / 2))
            start, end = grip + toward * 0.3 + offset, grip - toward * reach + offset
            width = 0.7 * self.spread * float(np.linalg.norm(side))
            _stroke(image, start, end, width, self.color)

    def _frame(self, corners: NDArray[np.float32]) -> tuple[Points, Points, Points]:
        """The grip in the frame, and the thing's own directions there: to the arm, and across."""
        middle = corners.mean(axis=0)
        right = (corners[1] + corners[2] - corners[0] - corners[3]) / 4
        down = (corners[2] + corners[3] - corners[0] - corners[1]) / 4
        axes = np.stack([right, down]).astype(np.float64)
        toward = np.array([math.cos(self.angle), math.sin(self.angle)])
        across = np.array([-toward[1], toward[0]])
        return middle + self.grip @ axes, toward @ axes, across @ axes


def _stroke(
    image: Plane, start: Points, end: Points, width: float, color: NDArray[np.float64]
) -> None:
    """A round-ended line with a darker rim."""
    height, columns = image.shape[:2]
    reach = 2.0 * (height + columns)
    span = end - start
    if np.linalg.norm(span) > reach:
        end = start + span / np.linalg.norm(span) * reach
    for share, light in ((1.0, 0.75), (0.75, 0.95), (0.4, 1.05)):
        mask = np.zeros((height, columns), np.uint8)
        ends = np.round(np.stack([start, end]) * 16).astype(np.int32)  # sixteenths of pixels
        cv2.polylines(mask, [ends], False, 255, max(1, round(width * share)), cv2.LINE_AA, 4)
        x, y, w, h = cv2.boundingRect(mask)
        alpha = mask[y : y + h, x : x + w, None].astype(np.float32) / 255
        part = image[y : y + h, x : x + w]
        part += alpha * (np.minimum(color * light, 255).astype(np.float32) - part)


def _shorter(corners: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).min())


def _skin(rng: np.random.Generator) -> NDArray[np.float64]:
    """A colour of skin; at times that of a glove or a sleeve."""
    if rng.random() < 0.25:
        return rng.uniform(20, 235, size=3)
    red = rng.uniform(80, 245)
    green = red * rng.uniform(0.62, 0.85)
    return np.array([red, green, green * rng.uniform(0.7, 0.95)])
