"""From `--backend` to a network: by torch, or by onnxruntime, which is faster on a CPU."""

import sys
from importlib import import_module
from pathlib import Path

import torch

from siamcorr.adaptors.onnx import graph_paths
from siamcorr.adaptors.onnxruntime import graphs_of, onnx_network
from siamcorr.cli.trackers import DEFAULT
from siamcorr.models import (
    Network,
    build_model,
    for_inference,
    load_preset,
    matching_preset,
    read_checkpoint,
)

BACKENDS = ("auto", "torch", "onnxruntime")
INSTALL = "pip install 'siamcorr[export]'"


def load_network(
    name: str | None, weights: Path, device: torch.device, backend: str, compiled: bool
) -> Network:
    """A network as fast as the machine and the options allow.

    Args:
        name: a model; None takes the one that the weights fit.
        weights: their file.
        device: where it runs.
        backend: one of `BACKENDS`; "auto" says which it took.
        compiled: by torch.compile.

    Raises:
        OSError: the weights cannot be read.
        ValueError: they fit no model or another one, or the options do not fit each other.
    """
    if backend not in BACKENDS:  # from the environment, which argparse does not check
        known = ", ".join(BACKENDS)
        raise ValueError(f"SIAMCORR_BACKEND must be one of {known}, got {backend}")
    model = name or fitting_model(weights)
    if backend == "auto":
        return _fastest(name, model, weights, device, compiled)
    if backend == "torch":
        return _by_torch(model, weights, device, compiled)
    if compiled or device.type != "cpu":
        raise ValueError("--backend onnxruntime runs on the CPU, without --compile")
    try:
        return _by_onnxruntime(name, model, weights)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: {INSTALL}") from None


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


def _fastest(
    name: str | None, model: str, weights: Path, device: torch.device, compiled: bool
) -> Network:
    """By onnxruntime on a CPU where it is installed and the model exports, else by torch."""
    if weights.suffix == ".onnx":
        return load_network(name, weights, device, "onnxruntime", compiled)
    reason = ""
    if device.type == "cpu" and not compiled:
        try:
            import_module("onnxruntime")  # before its graphs are made
            if not graph_paths(graphs_of(model, weights))[0].is_file():
                _say(f"{model}: making graphs for onnxruntime, once")
            network = _by_onnxruntime(name, model, weights)
        except ModuleNotFoundError:
            reason = f" ({INSTALL}: it is faster)"
        except Exception as error:  # exporters fail in many ways; torch says what the weights lack
            reason = f" ({str(error).splitlines()[0][:100]})" if str(error) else ""
        else:
            _say(f"{model} by onnxruntime")
            return network
    network = _by_torch(model, weights, device, compiled)
    _say(f"{model} by torch on {device}{reason}")
    return network


def _by_torch(model: str, weights: Path, device: torch.device, compiled: bool) -> Network:
    if weights.suffix == ".onnx":
        raise ValueError(f"{weights}: is for --backend onnxruntime")
    return for_inference(build_model(model, weights).to(device), compiled=compiled)


def _by_onnxruntime(name: str | None, model: str, weights: Path) -> Network:
    network = onnx_network(model, weights)
    made_from = network.preset.name
    if name and made_from != load_preset(name).name:
        raise ValueError(f"{weights}: not graphs of {name}, they were made from {made_from}")
    return network


def _say(text: str) -> None:
    print(f"siamcorr: {text}", file=sys.stderr)
