"""The networks that a page can choose from; each is built once and shared by all sessions."""

from collections.abc import Callable, Sequence
from threading import Lock

import torch

from siamcorr.models import (
    Network,
    build_model,
    find_weights,
    for_inference,
    load_preset,
    preset_names,
)


def offered_models() -> list[str]:
    """The presets whose weights are installed."""
    return [name for name in preset_names() if _has_weights(name)]


def offered_devices() -> list[str]:
    """The CPU, and every CUDA device."""
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def load_network(model: str, device: str) -> Network:
    """Build a preset's network with its weights, optimized for inference."""
    return for_inference(build_model(model, pretrained=True).to(torch.device(device)))


class Networks:
    """Networks by model and device; a network holds no target, so one serves every session.

    Args:
        models: offered names of presets.
        devices: offered devices.
        load: builds the network of a model and a device.
    """

    def __init__(
        self,
        models: Sequence[str],
        devices: Sequence[str],
        load: Callable[[str, str], Network] = load_network,
    ) -> None:
        self.models, self.devices = list(models), list(devices)
        self._load = load
        self._built: dict[tuple[str, str], Network] = {}
        self._lock = Lock()

    def get(self, model: object, device: object) -> Network:
        """The network; the first call builds it. Thread-safe.

        Raises:
            OSError: the weights cannot be read.
            ValueError: the model or device is not offered.
        """
        if model not in self.models:
            known = ", ".join(self.models)
            raise ValueError(f"model: must be one of {known}, got {str(model)[:80]}")
        if device not in self.devices:
            known = ", ".join(self.devices)
            raise ValueError(f"device: must be one of {known}, got {str(device)[:80]}")
        key = str(model), str(device)
        if key not in self._built:
            with self._lock:
                if key not in self._built:
                    self._built[key] = self._load(*key)
        return self._built[key]


def _has_weights(name: str) -> bool:
    try:
        find_weights(load_preset(name))
    except FileNotFoundError:
        return False
    return True
