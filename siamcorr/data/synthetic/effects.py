"""Camera effects: brightness, colour, blur, noise, compression; a target covered or deformed."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.data.synthetic.clips import Box, Image, Plane

_EDGE = cv2.BORDER_REFLECT_101


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
    return _blur_along(image, np.array([np.cos(angle), np.sin(angle)]) * length / 2, 4)


def _blur_along(image: Plane, step: NDArray[np.float64], reach: int) -> Plane:
    """Blur along the line from -step to step (x, y), of at most `reach` pixels on each axis."""
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    start, end = (tuple(int(v) for v in np.round(reach + sign * step)) for sign in (-1, 1))
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


def deform(
    image: Image, corners: Sequence[float], rng: np.random.Generator
) -> tuple[Image, list[float]]:
    """Distort a target smoothly, as a limp or jointed object does.

    Args:
        image: (H, W, 3) uint8, left as it is.
        corners: left, top, right, bottom of the target in pixels.
        rng: for the distortion, up to about a quarter of the target's sides.

    Returns:
        The image, distorted inside the target and less and less around it; and the target's
        corners: each side moves by the mean shift along it.
    """
    left, top, right, bottom = corners
    height, width = image.shape[:2]
    u, v, fade = _coordinates(corners, width, height)
    # Random shifts on a grid over the target and half its size around it, interpolated.
    grid = np.meshgrid(2 * u + 1, 2 * v + 1)
    strength = np.float32(rng.uniform(0.03, 0.15))
    shift_x, shift_y = (
        fade * np.float32(side) * cv2.remap(plane, *grid, cv2.INTER_CUBIC, borderMode=_EDGE)
        for plane, side in zip(
            strength * rng.standard_normal((2, 5, 5), dtype=np.float32),
            (right - left, bottom - top),
            strict=True,
        )
    )
    at_x, at_y = np.meshgrid(*(np.arange(count, dtype=np.float32) for count in (width, height)))
    moved = cv2.remap(image, at_x + shift_x, at_y + shift_y, cv2.INTER_LINEAR, borderMode=_EDGE)
    # What was at p + shift is now at p: the sides move against the shift.
    columns, rows = _between(left, right, width), _between(top, bottom, height)
    sides = [
        left - float(shift_x[rows, columns.start].mean()),
        top - float(shift_y[rows.start, columns].mean()),
        right - float(shift_x[rows, columns.stop - 1].mean()),
        bottom - float(shift_y[rows.stop - 1, columns].mean()),
    ]
    return moved.astype(np.uint8), sides


def smear(image: Image, corners: Sequence[float], rng: np.random.Generator) -> Image:
    """Blur a target along a random line of up to half its size, as fast motion does.

    Args:
        image: (H, W, 3) uint8, left as it is.
        corners: left, top, right, bottom of the target in pixels.
        rng: for the line.

    Returns:
        (H, W, 3) uint8; the blur fades away around the target.
    """
    left, top, right, bottom = corners
    height, width = image.shape[:2]
    longest = 0.5 * min(right - left, bottom - top, width, height)
    reach = max(1, round(longest * rng.uniform(0.1, 1) / 2))  # to both sides
    angle = rng.uniform(0, np.pi)
    step = reach * np.array([np.cos(angle), np.sin(angle)])
    blurred = _blur_along(image.astype(np.float32), step, reach)
    fade = _coordinates(corners, width, height)[2][..., None]
    return np.rint(image + fade * (blurred - image)).astype(np.uint8)


def _coordinates(corners: Sequence[float], width: int, height: int) -> tuple[Plane, Plane, Plane]:
    """Columns and rows in the target's coordinates, 0..1 inside it, and its share of each pixel.

    The share (H, W) is 1 inside the target and falls smoothly to 0 at half its size around it.
    """
    left, top, right, bottom = corners
    u = (np.arange(width, dtype=np.float32) + 0.5 - left) / (right - left)
    v = (np.arange(height, dtype=np.float32) + 0.5 - top) / (bottom - top)
    across, down = (
        (1 - beyond) ** 2 * (1 + 2 * beyond)
        for beyond in (np.clip(2 * np.abs(place - 0.5) - 1, 0, 1) for place in (u, v))
    )
    share = down[:, None] * across[None, :]
    return u.astype(np.float32), v.astype(np.float32), share.astype(np.float32)


def _between(low: float, high: float, count: int) -> slice:
    """The pixels from low to high, at least one of the `count` that there are."""
    first = min(max(int(low), 0), count - 1)
    return slice(first, min(max(int(high), first + 1), count))
