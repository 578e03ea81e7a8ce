"""What is drawn over a frame."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SURE, UNSURE = (70, 220, 70), (235, 70, 50)  # RGB of a box at score 1 and at score 0


def draw_result(
    image: Image, box_xywh: tuple[float, float, float, float], score: float, label: str = ""
) -> Image:
    """A copy of an RGB frame with the box, coloured by its score, and a label above it."""
    canvas = image.copy()
    x, y, w, h = box_xywh
    first, last = (round(x), round(y)), (round(x + w) - 1, round(y + h) - 1)
    color = tuple(round(a * score + b * (1 - score)) for a, b in zip(SURE, UNSURE, strict=True))
    thickness = max(2, round(min(image.shape[:2]) / 240))
    cv2.rectangle(canvas, first, last, color, thickness, cv2.LINE_AA)
    if label:
        draw_text(canvas, label, (first[0], first[1] - 6 if first[1] > 24 else last[1] + 18))
    return canvas


def draw_text(canvas: Image, text: str, corner: tuple[int, int]) -> None:
    """Write white text with a dark rim into an RGB frame; corner is its lower left."""
    for color, thickness in (((20, 20, 20), 3), ((255, 255, 255), 1)):
        cv2.putText(
            canvas, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, thickness, cv2.LINE_AA
        )


def heat_map(response: NDArray[np.floating], size: tuple[int, int]) -> Image:
    """A response map as an RGB picture of size (width, height), blue for low, red for high."""
    low, high = float(response.min()), float(response.max())
    grey = (response - low) / max(high - low, 1e-12) * 255
    grown = cv2.resize(grey.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    color = cv2.applyColorMap(grown.astype(np.uint8), cv2.COLORMAP_JET)
    return cv2.cvtColor(color, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
