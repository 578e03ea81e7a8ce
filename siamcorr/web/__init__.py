"""A page in the browser that tracks on this machine: `siamcorr web`.

A frame's way: `page/` sends it as JPEG, `sockets` receives it, `messages` checks and decodes it,
`sessions` tracks in it, and the boxes go back the same way. `server` puts the rooms behind one
door, which `access` guards. Only `server` and `sockets` need aiohttp.
"""

from siamcorr.web.limits import Limits
from siamcorr.web.networks import Networks, offered_devices, offered_models
from siamcorr.web.sessions import Session

__all__ = ["Limits", "Networks", "Session", "offered_devices", "offered_models"]
