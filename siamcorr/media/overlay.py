"""Draw boxes, labels and response maps."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SURE, UNSURE = (70, 220, 70), (235, 70, 50)  # RGB of a box at score 1 and at score 0
DASH = 8  # pixels


def draw_result(
    image: Image,
    box_xywh: tuple[float, float, float, float],
    score: float,
    label: str = "",
    lost: bool = False,
) -> Image:
    """Copy an RGB frame and draw the box, coloured by its score, and a label above it.

    The box of a lost target is dashed, and LOST is added to its label.
    """
    canvas = image.copy()
    x, y, w, h = box_xywh
    first, last = (round(x), round(y)), (round(x + w) - 1, round(y + h) - 1)
    color = tuple(round(a * score + b * (1 - score)) for a, b in zip(SURE, UNSURE, strict=True))
    thickness = max(2, round(min(image.shape[:2]) / 240))
    if lost:
        label = f"{label}  LOST".strip()
        _draw_dashed(canvas, first, last, UNSURE, thickness)
    else:
        cv2.rectangle(canvas, first, last, color, thickness, cv2.LINE_AA)
    if label:
        draw_text(canvas, label, (first[0], first[1] - 6 if first[1] > 24 else last[1] + 18))
    return canvas


def draw_text(canvas: Image, text: str, corner: tuple[int, int]) -> None:
    """Write white text with a dark outline into an RGB frame; corner is its lower left."""
    x, y = corner
    dark, white = (20, 20, 20), (255, 255, 255)
    # The outline is not a thicker text, because OpenCV 5 spaces thicker letters wider.
    for dx, dy, color in ((-1, 0, dark), (1, 0, dark), (0, -1, dark), (0, 1, dark), (0, 0, white)):
        place = x + dx, y + dy
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)


def _draw_dashed(
    canvas: Image,
    first: tuple[int, int],
    last: tuple[int, int],
    color: tuple[int, int, int],
    thickness: int,
) -> None:
    """Draw a dashed rectangle."""
    (x0, y0), (x1, y1) = first, last
    for x in range(x0, x1, 2 * DASH):
        for y in (y0, y1):
            cv2.line(canvas, (x, y), (min(x + DASH, x1), y), color, thickness)
    for y in range(y0, y1, 2 * DASH):
        for x in (x0, x1):
            cv2.line(canvas, (x, y), (x, min(y + DASH, y1)), color, thickness)


def heat_map(response: NDArray[np.floating], size: tuple[int, int]) -> Image:
    """Response map as an RGB image of size (width, height), blue for low, red for high."""
    low, high = float(response.min()), float(response.max())
    grey = (response - low) / max(high - low, 1e-12) * 255
    grown = cv2.resize(grey.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    color = cv2.applyColorMap(grown.astype(np.uint8), cv2.COLORMAP_JET)
    return cv2.cvtColor(color, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
