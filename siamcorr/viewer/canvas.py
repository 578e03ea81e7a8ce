"""What a person sees: boxes with their scores and trails, response, crops, and the keys."""

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from siamcorr.media import draw_result, heat_map
from siamcorr.media.overlay import draw_text
from siamcorr.tracking import Box, TrackResult
from siamcorr.tracking.boxes import Image

TRAIL = (255, 200, 60)
SIDE = 96  # pixels of a crop in the corner
DARK = 0.35  # brightness behind text


def draw_targets(
    image: Image,
    results: Mapping[int, TrackResult],
    trails: Mapping[int, Iterable[tuple[float, float]]],
) -> Image:
    """A copy with every target's box, number, score and the way that it came."""
    canvas = image.copy()
    for number, result in results.items():
        points = np.array([*trails.get(number, ())])
        if len(points) > 1:
            line = np.round(points).astype(np.int32)[:, None]
            cv2.polylines(canvas, [line], False, TRAIL, 1, cv2.LINE_AA)
        label = f"{number}  {result.score:.2f}"
        canvas = draw_result(canvas, result.box_xywh, result.score, label, lost=result.lost)
        if not result.lost:
            _score_bar(canvas, result)
    return canvas


def lay_heat(image: Image, result: TrackResult) -> None:
    """Lay the response over the region that it is of, in place."""
    if result.response is None or result.region is None:
        return
    x, y, w, h = (round(value) for value in result.region)
    heat = heat_map(result.response, (max(1, w), max(1, h)))
    height, width = image.shape[:2]
    x0, x1, y0, y1 = max(x, 0), min(x + w, width), max(y, 0), min(y + h, height)
    if x0 < x1 and y0 < y1:
        part = heat[y0 - y : y1 - y, x0 - x : x1 - x]
        image[y0:y1, x0:x1] = cv2.addWeighted(image[y0:y1, x0:x1], 0.55, part, 0.45, 0)


def lay_crops(image: Image, crops: Sequence[Image]) -> None:
    """Put small pictures side by side into the upper right corner, in place."""
    right = image.shape[1] - 6
    for crop in reversed(crops):
        if not crop.size:
            continue
        scale = SIDE / max(crop.shape[:2])
        small = cv2.resize(crop, None, fx=scale, fy=scale)
        height, width = small.shape[:2]
        if right - width < 0 or height + 12 > image.shape[0]:
            return
        image[6 : 6 + height, right - width : right] = small
        cv2.rectangle(image, (right - width, 6), (right - 1, 5 + height), (255, 255, 255), 1)
        right -= width + 6


def cut_out(image: Image, region: Box | None) -> Image:
    """The part of a picture that a region covers, as far as the picture goes."""
    if region is None:
        return image[:0, :0]
    x, y, w, h = region
    rows, columns = slice(max(0, round(y)), round(y + h)), slice(max(0, round(x)), round(x + w))
    return image[rows, columns]


def lay_lines(image: Image, top: str, bottom: Sequence[str]) -> None:
    """Write a line at the top and some at the bottom, each on a darkened strip, in place."""
    height = image.shape[0]
    _write(image, top, 16, image.shape[1])
    for index, line in enumerate(reversed(bottom)):
        _write(image, line, height - 7 - 20 * index, image.shape[1])


def wrapped(words: Sequence[str], width: int) -> list[str]:
    """Words in as few lines as fit into a width in pixels."""
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]}   {word}" if lines else word
        if lines and _width(longer) <= width - 12:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _write(image: Image, text: str, baseline: int, width: int) -> None:
    if not text:
        return
    strip = image[max(0, baseline - 14) : baseline + 6, : min(width, _width(text) + 12)]
    strip[:] = (strip * DARK).astype(np.uint8)
    draw_text(image, text, (6, baseline))


def _width(text: str) -> int:
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]


def _score_bar(canvas: Image, result: TrackResult) -> None:
    """A bar below the box, as long as the box is wide at score 1."""
    x, y, w, h = result.box_xywh
    left, bottom = round(x), round(y + h) + 4
    full, reached = round(x + w) - 1, round(x + w * min(1.0, result.score)) - 1
    cv2.rectangle(canvas, (left, bottom), (full, bottom + 4), (40, 40, 40), -1)
    if reached >= left:
        cv2.rectangle(canvas, (left, bottom), (reached, bottom + 4), (240, 240, 240), -1)
