"""Viewer: a session of targets, and the window that shows and controls it."""

from siamcorr.viewer.session import Session
from siamcorr.viewer.view import View

__all__ = ["Session", "View"]
