"""OpenCV window with mouse and keyboard input."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.tracking import Box

TITLE = "siamcorr"
BAND = (255, 220, 60)  # RGB of a box while the user draws it
SMALLEST = 4  # pixels; a shorter drag is a click

Point = tuple[float, float]


@dataclass(frozen=True)
class Input:
    """The user's input while an image was shown.

    Attributes:
        key: pressed key, "" for none, "escape" for Esc.
        drawn: finished box_xywh, in pixels of the image.
        drawing: the user is drawing a box; keep showing this image.
        mouse: position of the pointer.
        closed: the window was closed.
    """

    key: str = ""
    drawn: Box | None = None
    drawing: bool = False
    mouse: Point = (0.0, 0.0)
    closed: bool = False


class Window:
    """Window that shows RGB images; check `siamcorr.media.display_available` first."""

    def __init__(self) -> None:
        cv2.namedWindow(TITLE, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)  # without a toolbar
        cv2.setMouseCallback(TITLE, self._follow_mouse)
        self._mouse: Point = (0.0, 0.0)
        self._start: Point | None = None
        self._drawn: Box | None = None

    def show(self, image: NDArray[np.uint8], wait_ms: int = 1) -> Input:
        """Show an image (H, W, 3) for wait_ms milliseconds, or until a key is pressed."""
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if self._start is not None:
            x, y, w, h = (round(value) for value in box_between(self._start, self._mouse))
            cv2.rectangle(picture, (x, y), (x + w, y + h), BAND[::-1], 2)
        cv2.imshow(TITLE, picture)
        code = cv2.waitKeyEx(wait_ms)
        drawn, self._drawn = self._drawn, None
        closed = cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1
        return Input(key_name(code), drawn, self._start is not None, self._mouse, closed)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()

    def _follow_mouse(self, event: int, x: int, y: int, flags: int, _: object) -> None:
        self._mouse = float(x), float(y)
        if event == cv2.EVENT_LBUTTONDOWN:
            self._start = self._mouse
        elif event == cv2.EVENT_LBUTTONUP and self._start is not None:
            box = box_between(self._start, self._mouse)
            self._start = None
            if min(box[2:]) >= SMALLEST:
                self._drawn = box


def box_between(a: Point, b: Point) -> Box:
    """The box_xywh with corners at two points.

    Example:
        >>> box_between((30, 5), (10, 25))
        (10, 5, 20, 20)
    """
    left, top = min(a[0], b[0]), min(a[1], b[1])
    return left, top, max(a[0], b[0]) - left, max(a[1], b[1]) - top


def key_name(code: int) -> str:
    """Name of a key code of OpenCV's waitKeyEx: a character; "" for arrows and the like.

    Example:
        >>> key_name(ord("q")), key_name(27), key_name(0xFF51), key_name(-1)
        ('q', 'escape', '', '')
    """
    low = code & 0xFFFF  # the higher bits hold Shift and the lock keys
    if code < 0 or low > 0x7F:
        return ""
    return {27: "escape", 13: "enter", 10: "enter"}.get(low, chr(low).lower())
