"""Clips in which a target goes and comes back: what recovery is there for.

It leaves the frame, or goes behind a wall for seconds, and comes back elsewhere; in some clips
another of its kind stays in sight all the time. All follows from the seed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from siamcorr.data.synthetic.clips import Box, Image, Plane, texture

KINDS = ("leaves", "covered", "look-alike")
SEEN = 0.5  # share of a target's pixels that must be in sight, so that it has a box


@dataclass(frozen=True)
class ReturnConfig:
    """What a clip shows.

    kind: one of `KINDS`.
    before, away, after: frames in which the target is in sight, gone, and back.
    width, height: of a frame, in pixels.
    target: height of the target in pixels.
    seed: chooses textures and paths.
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
    ground: Image | None = None,
) -> Iterator[tuple[Image, Box | None]]:
    """Make a clip, frame by frame.

    Args:
        config: what it shows.
        pictures: the target and the one like it, (h, w, 4) RGB and alpha; else textures.
        ground: what is behind all, (height, width, 3); else a texture.

    Yields:
        An RGB frame (height, width, 3) uint8, and the target's box_xywh; None while less than
        half of it is in sight.

    Example:
        >>> frames = [*render_return(ReturnConfig(before=4, away=4, after=4))]
        >>> [box is None for _, box in frames[1:8:3]]
        [False, True, True]
    """
    config = config or ReturnConfig()
    rng = np.random.default_rng(config.seed)
    mine, other = pictures or (_thing(rng), _thing(rng))
    mine, other = (_sized(picture, config.target) for picture in (mine, other))
    back: Plane = ground.astype(float) if ground is not None else _ground(rng, config)
    wall = _wall(rng, config)
    heights = rng.uniform(0.3, 0.7, size=3) * config.height
    for index in range(config.before + config.away + config.after):
        image = back.copy()
        if config.kind == "look-alike":
            sway = 0.5 + 0.12 * math.sin(index / 20)
            _lay(image, other, (sway * config.width, float(heights[2])))
        middle = _place(config, index, mine.shape[1], heights)
        box, seen = _lay(image, mine, middle)
        if config.kind == "covered":
            left, panel = wall
            image[:, left : left + panel.shape[1]] = panel
            inside = min(box[0] + box[2], left + panel.shape[1]) - max(box[0], left)
            seen -= max(0.0, inside) / box[2]
        noise = rng.normal(0, 2, size=image.shape)
        frame = np.clip(image + noise, 0, 255).astype(np.uint8)
        yield frame, box if seen >= SEEN else None


def _place(config: ReturnConfig, index: int, wide: int, heights: np.ndarray) -> tuple[float, float]:
    """The middle of the target: it goes in the first part, and comes back in the last.

    Where it leaves the frame it comes back from the side that it left by the other; behind a
    wall it goes on to the far end.
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


def _lay(image: Plane, picture: Image, middle: tuple[float, float]) -> tuple[Box, float]:
    """Lay a picture over an image, in place: its whole box, and the share that is in the frame."""
    high, wide = picture.shape[:2]
    left, top = round(middle[0] - wide / 2), round(middle[1] - high / 2)
    x0, x1 = (min(max(x, 0), image.shape[1]) for x in (left, left + wide))
    y0, y1 = (min(max(y, 0), image.shape[0]) for y in (top, top + high))
    part = picture[y0 - top : y1 - top, x0 - left : x1 - left].astype(float)
    alpha = part[:, :, 3:] / 255
    image[y0:y1, x0:x1] += alpha * (part[:, :, :3] - image[y0:y1, x0:x1])
    return (float(left), float(top), float(wide), float(high)), part[:, :, 0].size / (high * wide)


def _sized(picture: Image, height: float) -> Image:
    scale = height / picture.shape[0]
    size = max(4, round(picture.shape[1] * scale)), max(4, round(height))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _thing(rng: np.random.Generator) -> Image:
    """An ellipse of a texture, (96, 64, 4)."""
    alpha = np.zeros((96, 64), np.uint8)
    cv2.ellipse(alpha, (32, 48), (31, 47), 0, 0, 360, 255, -1, cv2.LINE_AA)
    return np.dstack([texture(rng, 64, 96, detail=3).astype(np.uint8), alpha])


def _ground(rng: np.random.Generator, config: ReturnConfig) -> Plane:
    return texture(rng, config.width, config.height, detail=6)


def _wall(rng: np.random.Generator, config: ReturnConfig) -> tuple[int, Plane]:
    """Its left edge, and what it looks like: (height, two fifths of the width, 3)."""
    width = round(0.4 * config.width)
    rough = texture(rng, width, config.height, detail=5)
    return round(0.3 * config.width), 90 + 0.25 * rough
