"""The tracker that a person watches: targets that come and go, and the window they are seen in."""

from siamcorr.viewer.session import Session
from siamcorr.viewer.view import View

__all__ = ["Session", "View"]
