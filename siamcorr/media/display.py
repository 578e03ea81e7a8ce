"""The one place that knows whether there is a screen.

Without a display OpenCV's windows end the whole process, with no exception to catch. So nobody
opens one before `display_available` has said yes.
"""

import os
import subprocess
import sys
from functools import cache

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
