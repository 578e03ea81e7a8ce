"""Pictures to train on, drawn so that a test knows what they show."""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from siamcorr.data.synthetic.clips import texture

BOX = (210.0, 150.0, 60.0, 40.0)
GREEN, RED = (0, 255, 0), (255, 0, 0)


def names(suffix: str, held_out: bool) -> Iterator[str]:
    """Names of files in the held-out tenth, or in the rest."""
    for number in count():
        name = f"{number}{suffix}"
        if (sha256(name.encode()).digest()[0] % 10 == 0) == held_out:
            yield name


def photograph(seed: int, width: int = 240, height: int = 180) -> np.ndarray:
    """Much to be seen everywhere: (height, width, 3)."""
    return texture(np.random.default_rng(seed), width, height, detail=5).astype(np.uint8)


def cutout(seed: int, color: tuple[int, int, int] | None = None) -> np.ndarray:
    """An ellipse of 60 by 50 pixels with empty space around it: (100, 120, 4) BGR and alpha."""
    picture = np.zeros((100, 120, 4), np.uint8)
    picture[:, :, :3] = photograph(seed, 120, 100) if color is None else color
    alpha = cv2.ellipse(np.zeros((100, 120), np.uint8), (50, 55), (30, 25), 0, 0, 360, 255, -1)
    picture[:, :, 3] = alpha
    return picture


def write_pictures(folder: Path, color: tuple[int, int, int] | None = None) -> Path:
    """Three photographs and three cut-outs to train on and as many held out, in two folders."""
    (folder / "photos").mkdir(parents=True)
    (folder / "stamps").mkdir()
    for held_out in (False, True):
        photos, stamps = names(".jpg", held_out), names(".png", held_out)
        for seed in range(3):
            cv2.imwrite(str(folder / "photos" / next(photos)), photograph(seed))
            cv2.imwrite(str(folder / "stamps" / next(stamps)), cutout(seed, color))
    return folder


@cache
def painted(color):
    """A frame without much green or red, and a rectangle of that colour in it."""
    image = cv2.convertScaleAbs(photograph(0, 480, 360), alpha=0.4)
    x, y, w, h = (int(value) for value in BOX)
    image[y : y + h, x : x + w] = color
    return image, BOX


def found(image, color):
    """Left, top, right, bottom of what has a colour; half of an edge's pixel counts."""
    others = [channel for channel in range(3) if color[channel] == 0]
    plane = image.float()
    mask = (plane[color.index(255)] > 175) & (plane[others].amax(dim=0) < 110)
    x, y, w, h = cv2.boundingRect(mask.numpy().astype(np.uint8))
    return [x, y, x + w, y + h]
