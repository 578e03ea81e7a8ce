"""Check and parse messages of the socket: bytes are a frame, text is a command."""

import json
import math
import re
from typing import Any

import cv2
import numpy as np

from siamcorr.media.images import rgb
from siamcorr.tracking.boxes import Image
from siamcorr.web.limits import Limits

Message = dict[str, Any]

BASELINE = (0xC0, 0xC1)  # start of a frame that is not progressive
WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD8))
SCAN, END = 0xDA, 0xD9
COMPONENTS = 4  # maximum number of colour components, each with one scan at most
# Tables, scans, restart interval, application data and comments.
KNOWN = frozenset({*BASELINE, 0xC4, 0xDB, SCAN, 0xDD, *range(0xE0, 0xF0), 0xFE})
SEGMENT = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # first marker after a scan's pixels


def decode_frame(data: bytes, limits: Limits) -> Image:
    """Decode a JPEG to (H, W, 3) uint8 RGB.

    The size is checked in the header first, so that a small message cannot decode to a huge image.

    Raises:
        ValueError: not a complete baseline JPEG, or larger than the limits.
    """
    width, height = jpeg_size(data)
    if width * height > limits.frame_pixels or max(width, height) > limits.frame_side:
        raise ValueError(
            f"frame: at most {limits.frame_pixels} pixels and {limits.frame_side} a side, "
            f"got {width}x{height}"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None or sorted(image.shape[:2]) != sorted((width, height)):  # EXIF may rotate it
        raise ValueError(f"frame: must be a JPEG, got {len(data)} bytes that cannot be decoded")
    return rgb(image)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Read width and height from a JPEG's header, in pixels.

    Walks all segments as a decoder does, and accepts only segments that all decoders read the same
    way: a decoder might skip a segment that another one reads as the header.

    Raises:
        ValueError: not a JPEG, cut off, two headers, other segments, or progressive, which can keep
            a decoder busy for minutes.
    """
    if data[:3] != b"\xff\xd8\xff" or data[-2:] != b"\xff\xd9":
        raise ValueError(f"frame: must be a complete JPEG, got {len(data)} bytes that are not")
    place, scans, size = 2, 0, (0, 0)
    while place + 2 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        length = int.from_bytes(data[place + 2 : place + 4])
        if marker == END:
            if place + 2 == len(data) and all(size):
                return size
            break
        if marker == 0xFF:
            place += 1
        elif marker in WITHOUT_LENGTH:
            place += 2
        elif marker not in KNOWN or length < 2 or (marker in BASELINE and any(size)):
            break
        else:
            if marker in BASELINE:
                height = int.from_bytes(data[place + 5 : place + 7])
                size = int.from_bytes(data[place + 7 : place + 9]), height
            place += 2 + length
            if marker == SCAN:
                scans += 1
                found = SEGMENT.search(data, place)
                if scans > COMPONENTS or found is None:
                    break
                place = found.start()
    raise ValueError("frame: must be a baseline JPEG with a size, got another header")


def read_command(text: str, limits: Limits) -> Message:
    """Parse a command into a dict with a string "type"; other keys are checked by its handler.

    Raises:
        ValueError: not a JSON object, no type, or too long.
    """
    if len(text) > limits.command_characters:
        raise ValueError(
            f"command: at most {limits.command_characters} characters, got {len(text)}"
        )
    try:
        command = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"command: must be JSON, got {text[:40]!r}") from None
    if not isinstance(command, dict) or not isinstance(command.get("type"), str):
        raise ValueError(f"command: must be an object with a type, got {text[:40]!r}")
    return command


def read_box(value: object) -> tuple[float, float, float, float]:
    """Check a command's box: four finite numbers x, y, w, h, in frame pixels.

    Raises:
        ValueError: the value is anything else.
    """
    wrong = f"box: must be four numbers x, y, w, h, got {str(value)[:80]}"
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(wrong)
    if any(isinstance(side, bool) or not isinstance(side, int | float) for side in value):
        raise ValueError(wrong)
    try:
        x, y, w, h = (float(side) for side in value)
    except OverflowError:
        raise ValueError(wrong) from None
    if not all(map(math.isfinite, (x, y, w, h))):
        raise ValueError(wrong)
    return x, y, w, h
