"""Rendered clips: a textured target moves, rotates and scales over a textured background.

Boxes are exact, and the seed determines the clip, so it is the same everywhere: for demos, tests
and training pairs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ClipConfig:
    """Settings of a clip.

    Args:
        frames: number of frames.
        width: of a frame in pixels.
        height: of a frame in pixels.
        target: longer axis of the elliptic target in the first frame, in pixels.
        zoom: largest change of the target's size, a factor >= 1.
        turn: largest rotation of the target, in degrees.
        travel: share of the free space that the target's path crosses, 0..1.
        seed: of textures and path.
    """

    frames: int = 150
    width: int = 480
    height: int = 360
    target: float = 90.0
    zoom: float = 1.4
    turn: float = 25.0
    travel: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or self.zoom < 1 or not 0 <= self.travel <= 1:
            raise ValueError("frames and zoom must be >= 1, and travel must lie in 0..1")
        if not 8 <= self.target * self.zoom < min(self.width, self.height):
            raise ValueError("the target must be 8 pixels or more and fit into the frame")


def render_clip(config: ClipConfig | None = None) -> Iterator[tuple[Image, Box]]:
    """Render a clip, frame by frame.

    Yields:
        An RGB frame (height, width, 3) uint8, and the target's box_xywh, which lies inside it.

    Example:
        >>> image, box = next(render_clip(ClipConfig(width=160, height=120, target=40)))
        >>> image.shape, [round(value, 1) for value in box[2:]]
        ((120, 160, 3), [40.0, 28.0])
    """
    config = config or ClipConfig()
    rng = np.random.default_rng(config.seed)
    background = texture(rng, config.width, config.height, detail=5)
    side = round(config.target)
    patch = texture(rng, side, side, detail=3)
    phase = rng.uniform(0, 2 * math.pi, size=4)
    for index in range(config.frames):
        x, y, zoom, angle = _pose(config, phase, index / max(config.frames, 100))
        axes = config.target / 2 * zoom, config.target / 2 * zoom * 0.7
        image = _paste(background, patch, (x, y), axes, angle)
        noise = rng.normal(0, 2, size=image.shape)
        yield np.clip(image + noise, 0, 255).astype(np.uint8), ellipse_box((x, y), axes, angle)


def texture(rng: np.random.Generator, width: int, height: int, detail: int) -> Plane:
    """A random colourful picture (height, width, 3), 0..255: a sum of blobs of many sizes.

    Args:
        rng: random generator.
        width: in pixels.
        height: in pixels.
        detail: number of octaves; more octaves add finer blobs.
    """
    picture: Plane = np.zeros((height, width, 3))
    for octave in range(1, detail + 1):
        cells = rng.uniform(-1, 1, size=(2**octave + 1, 2**octave + 1, 3))
        grown = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
        picture += grown / octave
    low, high = picture.min(axis=(0, 1)), picture.max(axis=(0, 1))
    scaled: Plane = 20 + 215 * (picture - low) / (high - low)
    return scaled


def ellipse_box(center: tuple[float, float], axes: tuple[float, float], angle: float) -> Box:
    """Axis-aligned box around an ellipse with half axes `axes`, rotated by angle (radians)."""
    cos, sin = math.cos(angle), math.sin(angle)
    half_w = math.hypot(axes[0] * cos, axes[1] * sin)
    half_h = math.hypot(axes[0] * sin, axes[1] * cos)
    return center[0] - half_w, center[1] - half_h, 2 * half_w, 2 * half_h


def _pose(
    config: ClipConfig, phase: NDArray[np.float64], t: float
) -> tuple[float, float, float, float]:
    """Centre, zoom and angle (radians) at time t; 1 is a full round of the path."""
    wave = [math.sin(2 * math.pi * f * t + p) for f, p in zip((1, 2, 1, 2), phase, strict=True)]
    start = [math.sin(p) for p in phase]
    room = config.target * config.zoom / 2
    x = config.width / 2 + config.travel * (config.width / 2 - room) * wave[0]
    y = config.height / 2 + config.travel * (config.height / 2 - room) * wave[1]
    zoom = config.zoom ** ((wave[2] - start[2]) / 2)
    return x, y, zoom, math.radians(config.turn) * (wave[3] - start[3]) / 2


def _paste(
    background: Plane,
    patch: Plane,
    center: tuple[float, float],
    axes: tuple[float, float],
    angle: float,
) -> Plane:
    """Paste the patch's inscribed ellipse, with half axes and angle, over the background."""
    height, width = background.shape[:2]
    half = len(patch) / 2
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([axes[0] / half, axes[1] / half])
    # OpenCV's coordinates start at pixel centres, ours at pixel corners: half a pixel each.
    shift = np.array(center) - 0.5 - linear @ np.array([half - 0.5, half - 0.5])
    affine = np.column_stack([linear, shift])
    warped = cv2.warpAffine(patch, affine, (width, height), borderMode=cv2.BORDER_REPLICATE)
    ys, xs = np.mgrid[0:height, 0:width] + 0.5
    inverse = np.linalg.inv(turn)
    u = (inverse[0, 0] * (xs - center[0]) + inverse[0, 1] * (ys - center[1])) / axes[0]
    v = (inverse[1, 0] * (xs - center[0]) + inverse[1, 1] * (ys - center[1])) / axes[1]
    alpha = np.clip((1 - np.hypot(u, v)) * min(axes) + 0.5, 0, 1)[:, :, None]
    pasted: Plane = background * (1 - alpha) + warped * alpha
    return pasted
