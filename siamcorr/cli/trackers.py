"""From a name on the command line to a tracker, ours or one of OpenCV's."""

import os
from pathlib import Path
from typing import Any

import torch

from siamcorr.adaptors.onnxruntime import onnx_network
from siamcorr.adaptors.opencv import Peer
from siamcorr.models import (
    Network,
    build_model,
    find_weights,
    for_inference,
    load_preset,
    matching_preset,
    read_checkpoint,
)
from siamcorr.tracking import Tracker

DEFAULT = "siamcorr-lite"  # its weights are shipped with the package


def fitting_model(weights: Path) -> str:
    """The model that a weights file is for; graphs say it themselves.

    Raises:
        OSError: the file cannot be read.
        ValueError: it fits no known model.
    """
    if weights.suffix == ".onnx":
        return DEFAULT
    preset = matching_preset(read_checkpoint(weights))
    if preset is None:
        raise ValueError(f"{weights}: fits no known model; name one with --model")
    return preset.name


def load_network(
    name: str | None, weights: Path, device: torch.device, backend: str, compiled: bool
) -> Network:
    """A network as fast as the machine and the options allow.

    Args:
        name: a model; None takes the one that the weights fit.
        weights: their file.
        device: where it runs.
        backend: "torch" or "onnxruntime".
        compiled: by torch.compile.

    Raises:
        OSError: the weights cannot be read.
        ValueError: they fit no model or another one, or the options do not fit each other.
    """
    model = name or fitting_model(weights)
    if backend == "torch":
        if weights.suffix == ".onnx":
            raise ValueError(f"{weights}: is for --backend onnxruntime")
        return for_inference(build_model(model, weights).to(device), compiled=compiled)
    if compiled or device.type != "cpu":
        raise ValueError("--backend onnxruntime runs on the CPU, without --compile")
    try:
        network = onnx_network(model, weights)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: pip install 'siamcorr[export]'") from None
    made_from = network.preset.name
    if name and made_from != load_preset(name).name:
        raise ValueError(f"{weights}: not graphs of {name}, they were made from {made_from}")
    return network


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
