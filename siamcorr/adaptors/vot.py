"""Our trackers for the VOT toolkit, over its TraX protocol.

The toolkit starts the program `python -m siamcorr.adaptors.vot MODEL`. In a workspace's
trackers.ini:

    [siamcorr]
    label = siamcorr
    protocol = trax
    command = python -m siamcorr.adaptors.vot nanotrack-v2
"""

import sys

import cv2

from siamcorr.models import build_model, find_weights, for_inference, load_preset
from siamcorr.tracking import Tracker
from siamcorr.tracking.boxes import Image


def serve(tracker: Tracker) -> int:
    """Answer the toolkit's requests until it quits; return the number of frames.

    Raises:
        ModuleNotFoundError: vot-trax is not installed.
        ValueError: the toolkit sends a region or an image that cannot be used.
    """
    import trax

    frames = 0
    with trax.Server([trax.Region.RECTANGLE], [trax.Image.PATH]) as server:
        while True:
            request = server.wait()
            if request.type == trax.TraxStatus.QUIT:
                return frames
            frame = _read(request.image["color"].path())
            if request.type == trax.TraxStatus.INITIALIZE:
                region, _ = request.objects[0]
                tracker.init(frame, region.bounds())  # x, y, w, h
                found = tracker.box_xywh
            else:
                found = tracker.update(frame).box_xywh
            server.status([(trax.Rectangle.create(*found), {})])
            frames += 1


def _read(path: str) -> Image:
    frame = cv2.imread(path, cv2.IMREAD_COLOR)
    if frame is None:
        raise ValueError(f"{path}: cannot be read")
    return frame[:, :, ::-1].copy().astype("uint8")


def main() -> None:
    """Serve the model of the command line; default: nanotrack-v2."""
    name = sys.argv[1] if len(sys.argv) > 1 else "nanotrack-v2"
    network = build_model(name, find_weights(load_preset(name)))
    serve(Tracker(for_inference(network)))


if __name__ == "__main__":
    main()
