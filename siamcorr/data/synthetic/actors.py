"""Actors: cut-outs that move over a background."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.data.synthetic.clips import Box, Image, Plane
from siamcorr.data.synthetic.scene_config import HEIGHT, WIDTH, SceneConfig


class Actor:
    """A picture with alpha on a smooth random path: it moves, rotates, bends and scales."""

    def __init__(
        self, picture: Image, side: float, rng: np.random.Generator, config: SceneConfig
    ) -> None:
        self.picture = picture.astype(np.float32)
        self.side = side
        self.config = config
        rate = config.speed * side / (0.3 * (WIDTH + HEIGHT))
        self.rates = rng.uniform(0.2, 1.0, size=8) * np.array([rate, rate, *[0.5] * 6])
        self.phases = rng.uniform(0, 2 * math.pi, size=8)

    def corners(self, time: float) -> NDArray[np.float32]:
        """The picture's four corners at a time in seconds: (4, 2) frame pixels."""
        wave = np.sin(2 * math.pi * self.rates * time + self.phases)
        config, (height, width) = self.config, self.picture.shape[:2]
        size = self.side * config.zoom ** wave[2]
        stretch = config.stretch ** wave[3]
        half = np.array([width * stretch, height / stretch]) * size / max(width, height) / 2
        angle = math.radians(config.turn) * wave[4]
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=float)
        tilt = 1 + config.tilt * np.column_stack([signs[:, 1] * wave[5], signs[:, 0] * wave[6]])
        middle = np.array([WIDTH, HEIGHT]) / 2 * (1 + 0.8 * wave[:2])
        placed: NDArray[np.float64] = (signs * half * tilt) @ turn.T + middle
        return placed.astype(np.float32)

    def paste(self, image: Plane, time: float) -> Box:
        """Paste the picture into an image, in place, and return the box of its opaque part."""
        corners = self.corners(time)
        margin = round(self.config.bend * float(np.ptp(corners, axis=0).max()))
        left, top = np.floor(corners.min(axis=0)).astype(int) - margin
        right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1 + margin
        height, width = self.picture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
        # OpenCV's coordinates start at pixel centres, ours at pixel corners.
        target = (corners - (left, top) - 0.5).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source - np.float32(0.5), target)
        small, back = _shrink(self.picture, matrix)
        size = (int(right - left), int(bottom - top))
        layer = cv2.warpPerspective(small, matrix @ back, size).astype(np.float32)
        if margin:
            layer = self._bend(layer, margin, time)
        x, y, w, h = cv2.boundingRect((layer[:, :, 3] > 127).astype(np.uint8))
        _blend(image, layer, int(left), int(top))
        return float(left + x), float(top + y), float(w), float(h)

    def _bend(self, layer: Plane, margin: int, time: float) -> Plane:
        """Distort the layer by a vertical and a horizontal wave with amplitudes up to margin."""
        height, width = layer.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32)
        strength = margin * np.float32(2 * self.rates[7])
        swing = 4 * math.pi * self.rates[5:7] * time + self.phases[[7, 5]]
        waves = 2 * math.pi * (0.5 + 2 * self.rates[3:5])
        across = x + strength * np.sin(waves[0] * y / height + swing[0])
        down = y + strength * np.sin(waves[1] * x / width + swing[1])
        return cv2.remap(
            layer, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR
        ).astype(np.float32)


def _shrink(picture: Plane, matrix: NDArray[Any]) -> tuple[Plane, NDArray[Any]]:
    """Shrink a picture to about its final size, against aliasing; and the matrix back."""
    scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if scale > 0.7:
        return picture, np.eye(3)
    height, width = picture.shape[:2]
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    fx, fy = width / small.shape[1], height / small.shape[0]
    back = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])
    return small, back


def _blend(image: Plane, layer: Plane, left: int, top: int) -> None:
    height, width = image.shape[:2]
    x0, x1 = max(left, 0), min(left + layer.shape[1], width)
    y0, y1 = max(top, 0), min(top + layer.shape[0], height)
    if x0 < x1 and y0 < y1:
        part = layer[y0 - top : y1 - top, x0 - left : x1 - left]
        alpha = part[:, :, 3:] / 255
        image[y0:y1, x0:x1] += alpha * (part[:, :, :3] - image[y0:y1, x0:x1])
