"""Web page that tracks on this machine: `siamcorr web`.

Path of a frame: `page/` sends it as JPEG, `sockets` receives it, `messages` checks and decodes it,
`sessions` tracks, and the boxes go back the same way. `server` serves the page and the sockets,
`access` checks every request. Only `server` and `sockets` need aiohttp.
"""

from siamcorr.web.limits import Limits
from siamcorr.web.networks import Networks, offered_devices, offered_models
from siamcorr.web.sessions import Session

__all__ = ["Limits", "Networks", "Session", "offered_devices", "offered_models"]
