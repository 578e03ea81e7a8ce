"""Camera effects: brightness, colour, blur, noise, compression; and something before the target."""

import cv2
import numpy as np

from siamcorr.data.synthetic.clips import Box, Image, Plane


def degrade(image: Image, rng: np.random.Generator, scene: int) -> Image:
    """Apply random camera effects to a frame.

    Args:
        image: (H, W, 3) uint8.
        rng: for effects that differ from frame to frame.
        scene: seed of the strength of noise, blur and compression, the same in all its frames.

    Returns:
        (H, W, 3) uint8.
    """
    fixed = np.random.default_rng(scene)
    noise = fixed.uniform(0, 8) * (fixed.random() < 0.5)
    blur = fixed.random() < 0.3
    quality = int(fixed.integers(25, 90)) if fixed.random() < 0.3 else None
    light = relight(image.astype(np.float32), rng, 0.15)
    if blur:
        light = motion_blur(light, rng)
    if noise > 0:
        light += np.float32(noise) * rng.standard_normal((*light.shape[:2], 1), dtype=np.float32)
    taken = np.clip(light, 0, 255).astype(np.uint8)
    if quality is not None:
        _, packed = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, quality])
        taken = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return taken


def relight(image: Plane, rng: np.random.Generator, strength: float) -> Plane:
    """Change brightness, contrast and tint at random, each by up to a share of `strength`."""
    gain = 1 + rng.uniform(-strength, strength) + rng.uniform(-strength, strength, size=3) / 4
    shift = 255 * rng.uniform(-strength, strength) / 2
    mean = float(image.mean())
    lit: Plane = image * gain.astype(np.float32)
    lit += (mean * (1 - gain) + shift).astype(np.float32)
    return lit


def motion_blur(image: Plane, rng: np.random.Generator) -> Plane:
    """Blur along a random line of up to nine pixels."""
    length = int(rng.integers(1, 10))
    angle = rng.uniform(0, np.pi)
    kernel = np.zeros((9, 9), np.float32)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = (tuple(int(v) for v in np.round(4 + sign * step)) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum()).astype(np.float32)


def cover(image: Image, box: Box, other: Image, rng: np.random.Generator) -> Image:
    """Cover a box with a part of another picture, of 1.1 to 2 times the box's width and height.

    Args:
        image: (H, W, 3) uint8, left as it is.
        box: x, y, w, h in pixels.
        other: (h, w, 3) uint8; a part of 0.3 to 1 of its width and height is taken.
        rng: for the part and the size.

    Returns:
        (H, W, 3) uint8.
    """
    x, y, w, h = box
    margin_x, margin_y = rng.uniform(0.05, 0.5, size=2) * (w, h)
    left, right = (int(min(max(v, 0), image.shape[1])) for v in (x - margin_x, x + w + margin_x))
    top, bottom = (int(min(max(v, 0), image.shape[0])) for v in (y - margin_y, y + h + margin_y))
    covered = image.copy()
    if left < right and top < bottom:
        part = rng.uniform(0.3, 1, size=2)
        high, wide = (max(1, int(value)) for value in part * other.shape[:2])
        start_y = int(rng.integers(other.shape[0] - high + 1))
        start_x = int(rng.integers(other.shape[1] - wide + 1))
        patch = other[start_y : start_y + high, start_x : start_x + wide]
        covered[top:bottom, left:right] = cv2.resize(patch, (right - left, bottom - top))
    return covered
