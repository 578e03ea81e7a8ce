"""Waiting for threads: with an end, so that a test that waits in vain fails."""

import threading
import time

LONG = 20.0  # seconds until a test that waits in vain gives up


def wait_for(condition, what):
    """Return once condition() holds."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.005)


def threads():
    """Those of sources that are still there."""
    return [thread for thread in threading.enumerate() if thread.name == "siamcorr-source"]
