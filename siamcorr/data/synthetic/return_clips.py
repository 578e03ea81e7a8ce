"""Rendered clips for re-detection: the target disappears and comes back.

It leaves the frame, or goes behind a wall for seconds, and comes back elsewhere. In some clips, a
similar object stays visible. The seed determines the clip.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from siamcorr.data.synthetic.clips import Box, Image, Plane, texture

KINDS = ("leaves", "covered", "look-alike")
VISIBLE = 0.5  # a target with a smaller share of visible pixels has no box


@dataclass(frozen=True)
class ReturnConfig:
    """Settings of a clip.

    Args:
        kind: one of `KINDS`.
        before: frames until the target has disappeared.
        away: frames without the target.
        after: frames from its return on.
        width: of a frame in pixels.
        height: of a frame in pixels.
        target: height of the target in pixels.
        seed: of textures and paths.
    """

    kind: str = "leaves"
    before: int = 60
    away: int = 60
    after: int = 90
    width: int = 640
    height: int = 360
    target: float = 70.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if min(self.before, self.away, self.after) < 2:
            raise ValueError("before, away and after must be 2 frames or more")
        if not 8 <= 2 * self.target < min(self.width, self.height):
            raise ValueError("the target must be 4 pixels or more, and less than half the frame")


def render_return(
    config: ReturnConfig | None = None,
    pictures: tuple[Image, Image] | None = None,
    background: Image | None = None,
) -> Iterator[tuple[Image, Box | None]]:
    """Render a clip, frame by frame.

    Args:
        config: see `ReturnConfig`.
        pictures: the target and the similar object, (h, w, 4) RGB and alpha; default textures.
        background: (height, width, 3); default a texture.

    Yields:
        An RGB frame (height, width, 3) uint8, and the target's box_xywh; None while less than
        half of it is visible.

    Example:
        >>> frames = [*render_return(ReturnConfig(before=4, away=4, after=4))]
        >>> [box is None for _, box in frames[1:8:3]]
        [False, True, True]
    """
    config = config or ReturnConfig()
    rng = np.random.default_rng(config.seed)
    target, other = pictures or (_ellipse(rng), _ellipse(rng))
    target, other = (_resize(picture, config.target) for picture in (target, other))
    back: Plane = _background(rng, config) if background is None else background.astype(float)
    wall = _wall(rng, config)
    heights = rng.uniform(0.3, 0.7, size=3) * config.height
    for index in range(config.before + config.away + config.after):
        image = back.copy()
        if config.kind == "look-alike":
            sway = 0.5 + 0.12 * math.sin(index / 20)
            _paste(image, other, (sway * config.width, float(heights[2])))
        center = _center(config, index, target.shape[1], heights)
        box, visible = _paste(image, target, center)
        if config.kind == "covered":
            left, panel = wall
            image[:, left : left + panel.shape[1]] = panel
            inside = min(box[0] + box[2], left + panel.shape[1]) - max(box[0], left)
            visible -= max(0.0, inside) / box[2]
        noise = rng.normal(0, 2, size=image.shape)
        frame = np.clip(image + noise, 0, 255).astype(np.uint8)
        yield frame, box if visible >= VISIBLE else None


def _center(
    config: ReturnConfig, index: int, wide: int, heights: np.ndarray
) -> tuple[float, float]:
    """Centre of the target: it disappears in the first part, and comes back in the last.

    A target that leaves the frame on the left comes back from the right. A target that goes behind
    the wall comes out on its other side.
    """
    gone, back = config.before, config.before + config.away
    leaves = config.kind != "covered"
    edge = -wide if leaves else 0.3 * config.width + wide
    if index < gone:
        share = (index / gone) ** 2  # slowly at first
        x = 0.16 * config.width * (1 - share) + edge * share
        return x, float(heights[0]) + 6 * math.sin(index / 9)
    far = config.width + wide if leaves else 0.7 * config.width - wide
    if index < back:
        return (edge if leaves else config.width / 2), float(heights[0])
    share = min(1.0, (index - back) / 30)
    x = far * (1 - share) + 0.82 * config.width * share
    return x, float(heights[1]) + 6 * math.sin(index / 9)


def _paste(image: Plane, picture: Image, center: tuple[float, float]) -> tuple[Box, float]:
    """Paste a picture into an image, in place; returns its box, and its share in the frame."""
    high, wide = picture.shape[:2]
    left, top = round(center[0] - wide / 2), round(center[1] - high / 2)
    x0, x1 = (min(max(x, 0), image.shape[1]) for x in (left, left + wide))
    y0, y1 = (min(max(y, 0), image.shape[0]) for y in (top, top + high))
    part = picture[y0 - top : y1 - top, x0 - left : x1 - left].astype(float)
    alpha = part[:, :, 3:] / 255
    image[y0:y1, x0:x1] += alpha * (part[:, :, :3] - image[y0:y1, x0:x1])
    return (float(left), float(top), float(wide), float(high)), part[:, :, 0].size / (high * wide)


def _resize(picture: Image, height: float) -> Image:
    scale = height / picture.shape[0]
    size = max(4, round(picture.shape[1] * scale)), max(4, round(height))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _ellipse(rng: np.random.Generator) -> Image:
    """A textured ellipse, (96, 64, 4)."""
    alpha = np.zeros((96, 64), np.uint8)
    cv2.ellipse(alpha, (32, 48), (31, 47), 0, 0, 360, 255, -1, cv2.LINE_AA)
    return np.dstack([texture(rng, 64, 96, detail=3).astype(np.uint8), alpha])


def _background(rng: np.random.Generator, config: ReturnConfig) -> Plane:
    return texture(rng, config.width, config.height, detail=6)


def _wall(rng: np.random.Generator, config: ReturnConfig) -> tuple[int, Plane]:
    """Left edge of the wall, and its picture: (height, two fifths of the width, 3)."""
    width = round(0.4 * config.width)
    rough = texture(rng, width, config.height, detail=5)
    return round(0.3 * config.width), 90 + 0.25 * rough
