"""Check for a display.

Without a display, OpenCV aborts the process when it opens a window: there is no exception to
catch. So call `display_available` before opening one.
"""

import os
import subprocess
import sys
from functools import cache

PROBE = "import cv2; cv2.namedWindow('probe'); cv2.waitKey(1); cv2.destroyAllWindows()"


@cache
def display_available() -> bool:
    """Whether a window can be opened; tried in a child process, since a failure aborts it."""
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
