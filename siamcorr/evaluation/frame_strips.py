"""Strips: the frames of a sequence that tell the trackers apart, with every box drawn in."""

from collections.abc import Collection, Mapping, Sequence

import cv2
import numpy as np

from siamcorr.data.datasets.sequences import Sequence as Clip
from siamcorr.evaluation.box_errors import Array, corners_of
from siamcorr.evaluation.palette import TRUTH, Color
from siamcorr.media import read_image
from siamcorr.media.overlay import draw_text
from siamcorr.tracking.boxes import Image

HEIGHT = 240  # pixels of a tile
COLUMNS = 3
FAR = 1e4  # pixels: what lies farther out is drawn there


def strip(
    frames: Sequence[tuple[int, Image]],
    boxes: Mapping[str, Array],
    truth: Array,
    colors: Mapping[str, Color],
    polygons: Array | None = None,
) -> Image:
    """Frames, three in a row, with every tracker's box, and the true one in white.

    Args:
        frames: index and RGB image of each.
        boxes: (N, 4) by tracker.
        truth: (N, 4), not drawn where it is NaN.
        colors: RGB by tracker.
        polygons: (N, 8), drawn in place of the true box where a frame has one.
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
        # What is drawn last covers what lies below it, so that the truth is drawn first, and wide.
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


def telling_frames(overlaps: Mapping[str, Array], count: int = 6) -> list[int]:
    """The frames where the trackers differ the most, apart from each other, in their order."""
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


def frames_at(sequence: Clip, wanted: Collection[int]) -> list[tuple[int, Image]]:
    """Some frames of a sequence; images are read alone, a video up to the last of them.

    Raises:
        SourceError: a frame that cannot be read.
        OSError: a file that is gone.
    """
    if isinstance(sequence.frames, tuple):
        return [(index, read_image(sequence.frames[index])) for index in sorted(wanted)]
    found = []
    for index, frame in enumerate(sequence):
        if index in wanted:
            found.append((index, frame))
        if len(found) == len(wanted):
            break
    return found


def _draw(image: Image, corners: Array, color: Color, thickness: int) -> None:
    if np.isfinite(corners).all():
        points = np.clip(corners, -FAR, FAR).round().astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(image, [points], True, color, thickness, cv2.LINE_AA)
