"""Draw boxes, scores, trails, response maps, crops and text."""

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
    """Copy an image and draw every target's box, number, score and trail."""
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
    """Blend the response map over its search region, in place."""
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
    """Paste small pictures side by side into the upper right corner, in place."""
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
    """The part of an image inside a region; empty if the region is None."""
    if region is None:
        return image[:0, :0]
    x, y, w, h = region
    rows, columns = slice(max(0, round(y)), round(y + h)), slice(max(0, round(x)), round(x + w))
    return image[rows, columns]


def lay_lines(image: Image, top: str, bottom: Sequence[str]) -> None:
    """Write one line at the top and others at the bottom, each on a dark strip, in place."""
    height = image.shape[0]
    _write(image, top, 16, image.shape[1])
    for index, line in enumerate(reversed(bottom)):
        _write(image, line, height - 7 - 20 * index, image.shape[1])


def wrapped(words: Sequence[str], width: int) -> list[str]:
    """Wrap words into lines of at most width pixels."""
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
    """Draw a score bar below the box; at score 1, it is as wide as the box."""
    x, y, w, h = result.box_xywh
    left, bottom = round(x), round(y + h) + 4
    right, end = round(x + w) - 1, round(x + w * min(1.0, result.score)) - 1
    cv2.rectangle(canvas, (left, bottom), (right, bottom + 4), (40, 40, 40), -1)
    if end >= left:
        cv2.rectangle(canvas, (left, bottom), (end, bottom + 4), (240, 240, 240), -1)
