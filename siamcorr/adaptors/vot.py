"""Our trackers under the VOT toolkit, over its TraX protocol.

The toolkit starts a program and talks to it: `python -m siamcorr.adaptors.vot MODEL`. In a
workspace's trackers.ini:

    [siamcorr]
    label = siamcorr
    protocol = traxpython
    command = siamcorr.adaptors.vot
"""

import sys
from typing import Any

import cv2

from siamcorr.models import build_model, find_weights, for_inference, load_preset
from siamcorr.tracking import Tracker
from siamcorr.tracking.boxes import Image


def serve(tracker: Tracker) -> int:
    """Answer the toolkit until it says that it is done; the number of frames answered.

    Raises:
        ModuleNotFoundError: vot-trax is not installed.
        ValueError: the toolkit sends a region or an image that cannot be used.
    """
    import trax

    frames = 0
    with trax.Server([trax.Region.RECTANGLE], [trax.Image.PATH], verbose=False) as server:
        while True:
            request = server.wait()
            if request.type in (trax.TraxStatus.QUIT, trax.TraxStatus.ERROR):
                return frames
            frame = _read(request.image)
            if request.type == trax.TraxStatus.INITIALIZE:
                box = _first(request).bounds()  # x1, y1, x2, y2
                x, y, right, bottom = (float(value) for value in box)
                tracker.init(frame, (x, y, right - x, bottom - y))
                found = tracker.box_xywh
            else:
                found = tracker.update(frame).box_xywh
            server.status(_answer(trax.Rectangle.create(*found), request), {})
            frames += 1


def _first(request: Any) -> Any:
    """The target's region; since TraX 4 a request holds a list of objects."""
    objects = getattr(request, "objects", None)
    return objects[0][0] if objects else request.region


def _answer(region: Any, request: Any) -> Any:
    return [(region, {})] if getattr(request, "objects", None) is not None else region


def _read(image: Any) -> Image:
    path = (image["color"] if isinstance(image, dict) else image).path()
    frame = cv2.imread(path, cv2.IMREAD_COLOR)
    if frame is None:
        raise ValueError(f"{path}: cannot be read")
    return frame[:, :, ::-1].copy().astype("uint8")


def main() -> None:
    """Serve the model named on the command line, nanotrack-v2 by default."""
    name = sys.argv[1] if len(sys.argv) > 1 else "nanotrack-v2"
    network = build_model(name, find_weights(load_preset(name)))
    serve(Tracker(for_inference(network)))


if __name__ == "__main__":
    main()
