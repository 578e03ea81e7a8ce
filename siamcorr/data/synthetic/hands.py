"""A hand that holds an object: the arm behind it, the fingers in front, moving with it."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.data.synthetic.clips import Plane

Points = NDArray[np.float64]


class Hand:
    """An arm from outside the frame, and fingers, that hold an object.

    The object is given by four corners, see `Actor.corners`. In the object's coordinates, its
    centre is (0, 0) and its sides are at -1 and 1. Grip and fingers are fixed in these coordinates,
    so they follow when the object rotates or scales.

    Args:
        rng: used in the constructor only.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.color = _skin_color(rng)
        angle = rng.uniform(0, 2 * math.pi)
        self.toward = np.array([math.cos(angle), math.sin(angle)])  # direction of the arm
        self.across = np.array([-self.toward[1], self.toward[0]])
        self.width = rng.uniform(0.25, 0.55)  # of the arm, share of the object's shorter side
        self.grip = self.toward * rng.uniform(0.3, 0.8) + self.across * rng.uniform(-0.4, 0.4)
        self.count = int(rng.integers(1, 5))
        self.length = rng.uniform(0.3, 1.0)  # of the fingers
        self.spread = rng.uniform(0.15, 0.4)  # distance between fingers

    def paste_arm(self, image: Plane, corners: NDArray[np.float32]) -> None:
        """Draw the arm into an image, in place; call it before the object is pasted.

        The arm keeps its direction in the frame when the object rotates.
        """
        middle, axes = _coordinates(corners)
        grip = middle + self.grip @ axes
        beyond = grip + self.toward * 2 * max(image.shape[:2])
        shorter = 2 * float(np.linalg.norm(axes, axis=1).min())
        _stroke(image, grip, beyond, self.width * shorter, self.color)

    def paste_fingers(self, image: Plane, corners: NDArray[np.float32]) -> None:
        """Draw the fingers into an image, in place; call it after the object is pasted."""
        middle, axes = _coordinates(corners)
        width = 0.7 * self.spread * float(np.linalg.norm(self.across @ axes))
        for finger in range(self.count):
            place = finger - (self.count - 1) / 2
            base = self.grip + self.across * self.spread * place
            reach = self.length * (1 - 0.15 * abs(place))
            start, end = base + self.toward * 0.3, base - self.toward * reach
            _stroke(image, middle + start @ axes, middle + end @ axes, width, self.color)


def _coordinates(corners: NDArray[np.float32]) -> tuple[Points, Points]:
    """An object's centre, and its two half axes (rows), in frame pixels."""
    one, two, three, four = corners.astype(np.float64)
    right, down = (two + three - one - four) / 4, (three + four - one - two) / 4
    return corners.mean(axis=0), np.stack([right, down])


def _stroke(
    image: Plane, start: Points, end: Points, width: float, color: NDArray[np.float64]
) -> None:
    """Draw a line with round ends and darker edges."""
    height, columns = image.shape[:2]
    ends = np.round(np.stack([start, end]) * 16).astype(np.int32)  # in 1/16 pixels
    for share, light in ((1.0, 0.75), (0.75, 0.95), (0.4, 1.05)):
        mask = np.zeros((height, columns), np.uint8)
        cv2.polylines(mask, [ends], False, 255, max(1, round(width * share)), cv2.LINE_AA, 4)
        x, y, w, h = cv2.boundingRect(mask)
        alpha = mask[y : y + h, x : x + w, None].astype(np.float32) / 255
        part = image[y : y + h, x : x + w]
        part += alpha * (np.minimum(color * light, 255).astype(np.float32) - part)


def _skin_color(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random skin colour; in a quarter of the cases any colour, as of a glove or a sleeve."""
    if rng.random() < 0.25:
        return rng.uniform(20, 235, size=3)
    red = rng.uniform(80, 245)
    green = red * rng.uniform(0.62, 0.85)
    return np.array([red, green, green * rng.uniform(0.7, 0.95)])
