"""Load a network for torch or for onnxruntime, which is faster on a CPU."""

from importlib import import_module
from pathlib import Path

import torch

from siamcorr.adaptors.onnxruntime import Say, onnx_network, silent
from siamcorr.models import (
    Network,
    build_model,
    find_weights,
    for_inference,
    load_preset,
    matching_preset,
    read_checkpoint,
)

BACKENDS = ("auto", "torch", "onnxruntime")
INSTALL = "pip install 'siamcorr[export]'"
DEFAULT = "siamcorr-lite"  # its weights are shipped with the package


def load_network(
    name: str | None = None,
    weights: str | Path | None = None,
    device: torch.device | None = None,
    backend: str = "auto",
    compiled: bool = False,
    say: Say = silent,
) -> Network:
    """Load a network for a `Tracker`, on the fastest backend that the options allow.

    Args:
        name: name of the model; None picks the model that fits the weights.
        weights: the checkpoint or OUT.onnx; None searches the usual folders.
        device: device of the network; None is the GPU if there is one.
        backend: "torch", "onnxruntime", or "auto": onnxruntime on a CPU if it is installed and
            the model can be exported. The export takes ten seconds or more, once; its graphs are
            cached.
        compiled: use torch.compile.
        say: called with a text that names the backend.

    Raises:
        OSError: the weights cannot be read.
        ValueError: the weights fit no model or another one, or the options contradict each other.
    """
    if backend not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise ValueError(f"backend must be one of {known}, got {backend}")
    weights = Path(weights or find_weights(load_preset(name or DEFAULT)))
    model = name or fitting_model(weights)
    if backend == "auto" and weights.suffix == ".onnx":
        backend = "onnxruntime"
    if device is None:
        cuda = torch.cuda.is_available() and backend != "onnxruntime"  # graphs run on the CPU
        device = torch.device("cuda" if cuda else "cpu")
    if backend == "auto":
        return _fastest(name, model, weights, device, compiled, say)
    if backend == "torch":
        return _by_torch(model, weights, device, compiled)
    if compiled or device.type != "cpu":
        raise ValueError("--backend onnxruntime runs on the CPU, without --compile")
    try:
        return _by_onnxruntime(name, model, weights)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: {INSTALL}") from None


def fitting_model(weights: Path) -> str:
    """Return the name of the model that fits the weights; graphs store their own preset.

    Raises:
        OSError: the file cannot be read.
        ValueError: the weights fit no known model.
    """
    if weights.suffix == ".onnx":
        return DEFAULT
    preset = matching_preset(read_checkpoint(weights))
    if preset is None:
        raise ValueError(f"{weights}: fits no known model; name one with --model")
    return preset.name


def _fastest(
    name: str | None, model: str, weights: Path, device: torch.device, compiled: bool, say: Say
) -> Network:
    """Use onnxruntime on a CPU if it is installed and the model can be exported, else torch."""
    reason = ""
    if device.type == "cpu" and not compiled:
        try:
            import_module("onnxruntime")  # before the slow export
            network = _by_onnxruntime(name, model, weights, say)
        except ModuleNotFoundError:
            reason = f" ({INSTALL}: it is faster)"
        except Exception as error:  # exports fail in many ways; torch reports wrong weights
            reason = f" ({str(error).splitlines()[0][:100]})" if str(error) else ""
        else:
            say(f"{model} by onnxruntime")
            return network
    network = _by_torch(model, weights, device, compiled)
    say(f"{model} by torch on {device}{reason}")
    return network


def _by_torch(model: str, weights: Path, device: torch.device, compiled: bool) -> Network:
    if weights.suffix == ".onnx":
        raise ValueError(f"{weights}: needs --backend onnxruntime")
    return for_inference(build_model(model, weights).to(device), compiled=compiled)


def _by_onnxruntime(name: str | None, model: str, weights: Path, say: Say = silent) -> Network:
    network = onnx_network(model, weights, say)
    made_from = network.preset.name
    if name and made_from != load_preset(name).name:
        raise ValueError(f"{weights}: not graphs of {name}, they were exported from {made_from}")
    return network
