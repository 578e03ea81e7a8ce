"""The one place that knows whether there is a screen, and the window on it.

Without a display OpenCV's windows end the whole process, with no exception to catch. So nobody
opens one before `display_available` has said yes.
"""

import os
import subprocess
import sys
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

TITLE = "siamcorr"
QUIT_KEYS = (27, ord("q"))
PROBE = "import cv2; cv2.namedWindow('probe'); cv2.waitKey(1); cv2.destroyAllWindows()"


@cache
def display_available() -> bool:
    """Whether a window can be opened; a child process tries it, since failing means abort."""
    unix = sys.platform not in ("win32", "darwin")
    if unix and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


class Window:
    """A window that shows RGB frames; ask `display_available` first."""

    def __init__(self) -> None:
        cv2.namedWindow(TITLE, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)  # without a toolbar

    def show(self, image: NDArray[np.uint8], wait_ms: int = 1) -> bool:
        """Show a frame; False once the person pressed q or Esc, or closed the window."""
        cv2.imshow(TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if cv2.waitKey(wait_ms) & 0xFF in QUIT_KEYS:
            return False
        return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def select_box(self, image: NDArray[np.uint8]) -> tuple[float, float, float, float] | None:
        """Let the person draw a box; None if they cancelled."""
        x, y, w, h = cv2.selectROI(TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), False)
        return (float(x), float(y), float(w), float(h)) if w and h else None

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()
