"""Scenes: a cut-out before a photograph, with others of its kind, moving, turning and in the way.

A scene is fixed by its random numbers; a frame of it by a time. Two times make a training pair, a
run of them a clip, and the target's box is known by construction.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.data.effects import degrade
from siamcorr.data.library import Library
from siamcorr.data.synthetic import Box, Image, Plane

WIDTH, HEIGHT = 480, 360


@dataclass(frozen=True)
class SceneConfig:
    """How hard scenes are.

    distractors: others at most, half of them the target's own kind.
    occlusion: chance of something that passes before the target.
    turn: degrees either way. zoom: factor either way. stretch: of the aspect, either way.
    tilt: of the perspective, as a share of the side.
    bend: how far parts of a picture sway against each other, as a share of its side.
    speed: of the target; at 2 it moves some five sides of its own a second, ten at the most
        hurried. Clips run at 30 frames a second.
    photo_targets: share of targets that are blobs out of a photograph instead of cut-outs.
    """

    distractors: int = 4
    occlusion: float = 0.2
    turn: float = 25.0
    zoom: float = 1.5
    stretch: float = 1.2
    tilt: float = 0.15
    bend: float = 0.06
    speed: float = 2.0
    photo_targets: float = 0.4


class Scene:
    """One target and what is around it.

    Args:
        library: where the pictures come from.
        rng: every choice is made here, once.
        config: see `SceneConfig`.
    """

    def __init__(
        self, library: Library, rng: np.random.Generator, config: SceneConfig | None = None
    ) -> None:
        config = config or SceneConfig()
        self.ground = _ground(library, rng)
        target = _actor_picture(library, rng, config)
        side = math.exp(rng.uniform(math.log(40), math.log(150)))
        self.target = Actor(target, side, rng, config)
        self.others = []
        for _ in range(rng.integers(config.distractors + 1)):
            same = rng.random() < 0.5
            picture = target if same else _actor_picture(library, rng, config)
            self.others.append(Actor(picture, side * rng.uniform(0.6, 1.4), rng, config))
        self.before = None
        if rng.random() < config.occlusion:
            picture = _actor_picture(library, rng, config)
            self.before = Actor(picture, side * rng.uniform(0.4, 0.9), rng, config)
        self.seed = int(rng.integers(2**31))

    def frame(self, time: float) -> tuple[Image, Box]:
        """The scene at a time, in seconds, as a camera takes it, and the target's box_xywh.

        The image is (360, 480, 3) RGB. The box is whole even where the target is covered or
        leaves the frame.
        """
        image, box = self.clean_frame(time)
        rng = np.random.default_rng([self.seed, round(time * 1000)])
        return degrade(image, rng, self.seed), box

    def clean_frame(self, time: float) -> tuple[Image, Box]:
        """As `frame`, before the camera: to be cut first and degraded then, which costs less."""
        image = self.ground.astype(np.float32)
        for other in self.others:
            other.paste(image, time)
        box = self.target.paste(image, time)
        if self.before is not None:
            self.before.paste(image, time)
        return np.clip(image, 0, 255).astype(np.uint8), box

    def clip(self, frames: int) -> Iterator[tuple[Image, Box]]:
        """Frames one after the other, 30 a second."""
        return (self.frame(index / 30) for index in range(frames))


class Actor:
    """A picture with alpha on a smooth random path: it turns, bends and changes its size."""

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
        """Where the picture's four corners are at a time: (4, 2) frame pixels."""
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
        """Lay the picture over an image, in place, and return the box of what is opaque."""
        corners = self.corners(time)
        margin = round(self.config.bend * float(np.ptp(corners, axis=0).max()))
        left, top = np.floor(corners.min(axis=0)).astype(int) - margin
        right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1 + margin
        height, width = self.picture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
        # OpenCV counts from pixel centres, we from pixel corners.
        target = (corners - (left, top) - 0.5).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source - np.float32(0.5), target)
        shrunk = _shrunk(self.picture, matrix)
        size = (int(right - left), int(bottom - top))
        layer = cv2.warpPerspective(shrunk[0], matrix @ shrunk[1], size).astype(np.float32)
        if margin:
            layer = self._bent(layer, margin, time)
        x, y, w, h = cv2.boundingRect((layer[:, :, 3] > 127).astype(np.uint8))
        _blend(image, layer, int(left), int(top))
        return float(left + x), float(top + y), float(w), float(h)

    def _bent(self, layer: Plane, margin: int, time: float) -> Plane:
        """The layer with a wave down and a wave across it, each as high as the margin at most."""
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


def _shrunk(picture: Plane, matrix: NDArray[Any]) -> tuple[Plane, NDArray[Any]]:
    """The picture at about the size that it will have, so that no pixel is skipped over."""
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


def _ground(library: Library, rng: np.random.Generator) -> Image:
    """A cut of a photograph that fills the frame."""
    photo = library.photo(rng)
    fit = max(WIDTH / photo.shape[1], HEIGHT / photo.shape[0])
    scale = fit * rng.uniform(1, 1.6)
    grown = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    left = rng.integers(max(1, grown.shape[1] - WIDTH + 1))
    top = rng.integers(max(1, grown.shape[0] - HEIGHT + 1))
    ground = grown[top : top + HEIGHT, left : left + WIDTH].astype(np.uint8)
    return cv2.resize(ground, (WIDTH, HEIGHT)).astype(np.uint8)  # a pixel may have been lost


def _actor_picture(library: Library, rng: np.random.Generator, config: SceneConfig) -> Image:
    """A cut-out, or a blob out of a photograph; mirrored half of the time."""
    picture = (
        _blob(library.photo(rng), rng)
        if rng.random() < config.photo_targets
        else library.cutout(rng)
    )
    return np.ascontiguousarray(picture[:, ::-1]) if rng.random() < 0.5 else picture


def _blob(photo: Image, rng: np.random.Generator) -> Image:
    """A part of a photograph with a smooth random outline: (h, w, 4)."""
    height, width = photo.shape[:2]
    w, h = (int(rng.uniform(0.2, 0.5) * min(height, width)) for _ in range(2))
    left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    radius = np.ones_like(angles)
    for k in (2, 3, 4):
        radius += rng.uniform(-0.25, 0.25) / k * np.sin(k * angles + rng.uniform(0, 2 * math.pi))
    radius = np.minimum(radius / radius.max(), 1) * 0.98
    points = np.column_stack(
        [(1 + radius * np.cos(angles)) * w / 2, (1 + radius * np.sin(angles)) * h / 2]
    )
    alpha = np.zeros((h, w), np.uint8)
    if rng.random() < 0.25:
        alpha[:] = 255  # a whole rectangle
    else:
        cv2.fillPoly(alpha, [points.astype(np.int32)], 255, lineType=cv2.LINE_AA)
    return np.dstack([photo[top : top + h, left : left + w], alpha])
