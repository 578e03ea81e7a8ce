"""Pictures for scenes: backgrounds that fill the frame, and cut-outs with alpha for actors."""

import math

import cv2
import numpy as np

from siamcorr.data.synthetic.clips import Image, Plane, texture
from siamcorr.data.synthetic.library import Library
from siamcorr.data.synthetic.scene_config import HEIGHT, WIDTH, SceneConfig


def background_picture(library: Library, rng: np.random.Generator, config: SceneConfig) -> Image:
    """A part of a photograph that fills the frame, or a plain wall: (360, 480, 3)."""
    if config.walls > 0 and rng.random() < config.walls:
        return np.clip(_plain(rng, WIDTH, HEIGHT), 0, 255).astype(np.uint8)
    photo = library.photo(rng)
    fit = max(WIDTH / photo.shape[1], HEIGHT / photo.shape[0])
    scale = fit * rng.uniform(1, 1.6)
    grown = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    left = rng.integers(max(1, grown.shape[1] - WIDTH + 1))
    top = rng.integers(max(1, grown.shape[0] - HEIGHT + 1))
    part = grown[top : top + HEIGHT, left : left + WIDTH].astype(np.uint8)
    return cv2.resize(part, (WIDTH, HEIGHT)).astype(np.uint8)  # rounding may cost a pixel


def actor_picture(library: Library, rng: np.random.Generator, config: SceneConfig) -> Image:
    """A picture for an actor, (h, w, 4); half of the cut-outs and blobs are mirrored."""
    if config.printed > 0 and rng.random() < config.printed:
        return _printed_object(library, rng)
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


def _printed_object(library: Library, rng: np.random.Generator) -> Image:
    """An object of one colour with a printed picture, such as a mug or a bottle: (h, w, 4)."""
    long, short = 240, int(rng.uniform(80, 240))
    width, height = (long, short) if rng.random() < 0.3 else (short, long)
    body = _plain(rng, width, height)
    print_ = _blob(library.photo(rng), rng)
    w, h = int(width * rng.uniform(0.3, 0.9)), int(height * rng.uniform(0.2, 0.6))
    left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
    layer = cv2.resize(print_, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
    part = body[top : top + h, left : left + w]
    part += rng.uniform(0.3, 1) * layer[:, :, 3:] / 255 * (layer[:, :, :3] - part)
    round_ = 1 - rng.uniform(0, 0.5) * np.abs(np.linspace(-1, 1, width)) ** 2  # as on a cylinder
    body *= round_[None, :, None]
    alpha = np.zeros((height, width), np.uint8)
    edge = int(rng.uniform(0, 0.5) * min(width, height))
    cv2.rectangle(alpha, (edge, 0), (width - 1 - edge, height - 1), 255, -1)
    cv2.rectangle(alpha, (0, edge), (width - 1, height - 1 - edge), 255, -1)
    for x in (edge, width - 1 - edge):
        for y in (edge, height - 1 - edge):
            cv2.circle(alpha, (x, y), edge, 255, -1, cv2.LINE_AA)
    return np.dstack([np.clip(body, 0, 255).astype(np.uint8), alpha])


def _plain(rng: np.random.Generator, width: int, height: int) -> Plane:
    """One colour with a slight gradient and a slight texture: (height, width, 3)."""
    color = rng.uniform(10, 245) + rng.uniform(-40, 40, size=3) * rng.random()
    rough = (texture(rng, width, height, detail=4) - 127) * rng.uniform(0, 0.08)
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    slope = rng.uniform(0, 30) * (x * math.cos(angle) + y * math.sin(angle))
    plain: Plane = (color + slope[:, :, None] + rough).astype(np.float32)
    return plain
