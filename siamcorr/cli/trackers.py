"""Make a tracker, ours or one of OpenCV's, from its name on the command line."""

import os
from pathlib import Path
from typing import Any

from siamcorr.adaptors.opencv import Peer
from siamcorr.models import build_model, find_weights, for_inference, load_preset
from siamcorr.tracking import Tracker


def make_tracker(name: str) -> Any:
    """Make the tracker of a preset, of PRESET=WEIGHTS, or of opencv:csrt, opencv:nano and so on.

    PRESET+recover also searches the frame for a lost target.

    The environment variable SIAMCORR_OPENCV is the folder with the ONNX files of opencv:nano and
    opencv:vit.

    Raises:
        OSError: the weights are missing.
        ValueError: there is no such tracker, or it cannot report a loss.
    """
    if name.startswith("opencv:"):
        return Peer(name.removeprefix("opencv:"), Path(os.environ.get("SIAMCORR_OPENCV", ".")))
    model, _, weights = name.partition("=")
    preset = model.removesuffix("+recover")
    path = weights or find_weights(load_preset(preset))
    return Tracker(for_inference(build_model(preset, path)), recover=preset != model)
