"""From a name on the command line to a tracker, ours or one of OpenCV's."""

import os
from pathlib import Path
from typing import Any

from siamcorr.adaptors.opencv import Peer
from siamcorr.models import build_model, find_weights, for_inference, load_preset
from siamcorr.tracking import Tracker


def make_tracker(name: str) -> Any:
    """The tracker of a preset, of NAME=WEIGHTS, or opencv:csrt, opencv:nano and the like.

    The ONNX files of opencv:nano and opencv:vit are looked for in the folder that SIAMCORR_OPENCV
    names.

    Raises:
        OSError: weights that are not there.
        ValueError: no such tracker.
    """
    if name.startswith("opencv:"):
        return Peer(name.removeprefix("opencv:"), Path(os.environ.get("SIAMCORR_OPENCV", ".")))
    preset, _, weights = name.partition("=")
    path = weights or find_weights(load_preset(preset))
    return Tracker(for_inference(build_model(preset, path)))
