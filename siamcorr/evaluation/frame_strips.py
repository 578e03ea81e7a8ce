"""Strips: frames of a sequence in which the trackers differ most, with all boxes drawn."""

from collections.abc import Collection, Mapping, Sequence

import cv2
import numpy as np

from siamcorr.data.datasets.sequences import Sequence as Clip
from siamcorr.evaluation.box_errors import Array, corners_of
from siamcorr.evaluation.palette import TRUTH, Color
from siamcorr.media import read_image
from siamcorr.media.overlay import draw_text
from siamcorr.tracking.boxes import Image

HEIGHT = 240  # of a tile, in pixels
COLUMNS = 3
FAR = 1e4  # pixels; corners are clipped to this before they are drawn


def strip(
    frames: Sequence[tuple[int, Image]],
    boxes: Mapping[str, Array],
    truth: Array,
    colors: Mapping[str, Color],
    polygons: Array | None = None,
) -> Image:
    """Draw frames, three per row, with every tracker's box and the ground truth in white.

    Args:
        frames: index and RGB image of each frame.
        boxes: (N, 4) by tracker.
        truth: (N, 4), not drawn where it is NaN.
        colors: RGB by tracker.
        polygons: (N, 8), drawn instead of the true box where they are finite.
    """
    shapes = {name: corners_of(found) for name, found in boxes.items()}
    true = corners_of(truth)
    if polygons is not None:
        true = np.where(np.isfinite(polygons).all(axis=1, keepdims=True), polygons, true)
    tiles = []
    for index, frame in frames:
        scale = HEIGHT / frame.shape[0]
        width = max(1, round(frame.shape[1] * scale))
        tile = cv2.resize(frame, (width, HEIGHT)).astype(np.uint8)
        # The ground truth is drawn first and wide, so that it stays visible below the boxes.
        _draw(tile, true[index] * scale, (20, 20, 20), 5)
        _draw(tile, true[index] * scale, TRUTH, 3)
        for name, corners in shapes.items():
            _draw(tile, corners[index] * scale, colors[name], 2)
        draw_text(tile, f"{index}", (5, 18))
        tiles.append(tile)
    blank = np.full_like(tiles[0], 255)
    while len(tiles) > COLUMNS and len(tiles) % COLUMNS:
        tiles.append(blank)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def most_different_frames(overlaps: Mapping[str, Array], count: int = 6) -> list[int]:
    """Return the frames in which the trackers differ most; chosen frames are not close in time."""
    stacked = np.nan_to_num(np.stack([*overlaps.values()]))
    spread = stacked.max(axis=0) - stacked.min(axis=0) + 1e-6 * (1 - stacked.mean(axis=0))
    chosen: list[int] = []
    apart = max(1, len(spread) // (2 * count))
    for index in np.argsort(-spread, kind="stable"):
        if all(abs(int(index) - other) >= apart for other in chosen):
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return sorted(chosen)


def frames_at(sequence: Clip, indices: Collection[int]) -> list[tuple[int, Image]]:
    """Read some frames of a sequence: single images, or a video up to the last of the frames.

    Raises:
        SourceError: a frame cannot be read.
        OSError: a file is missing.
    """
    if isinstance(sequence.frames, tuple):
        return [(index, read_image(sequence.frames[index])) for index in sorted(indices)]
    found = []
    for index, frame in enumerate(sequence):
        if index in indices:
            found.append((index, frame))
        if len(found) == len(indices):
            break
    return found


def _draw(image: Image, corners: Array, color: Color, thickness: int) -> None:
    if np.isfinite(corners).all():
        points = np.clip(corners, -FAR, FAR).round().astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(image, [points], True, color, thickness, cv2.LINE_AA)
