"""Checkpoints: weights from strangers in, safetensors out.

A .pth file is a pickle, and a pickle is a program. Here it is read by torch's restricted
unpickler alone, with the few harmless names allowed that published files need.
"""

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from siamcorr.models.presets import WeightsConfig

# Numbers of the optimizer's state were saved as numpy scalars, under numpy 1's module name.
ALLOWED: list[Any] = [
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    np.dtype,
    type(np.dtype("float64")),
]


@dataclass(frozen=True)
class Checkpoint:
    """Weights as they lay in a file; metadata is empty for a .pth."""

    path: Path
    state_dict: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)

    def as_published(self, weights: WeightsConfig) -> dict[str, Tensor]:
        """The weights under the network's keys, less those that it never calls."""
        prefix = weights.prefix
        return {
            key if key.startswith(prefix) else prefix + key: value
            for key, value in self.state_dict.items()
            if not key.startswith(weights.unused)
        }

    def dropped(self, weights: WeightsConfig) -> list[str]:
        """Keys that the network never calls."""
        return [key for key in self.state_dict if key.startswith(weights.unused)]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read .safetensors, or any .pth that holds nothing but tensors and plain values.

    Weights may lie flat or under "state_dict", with or without a "module." before each key;
    tensors saved from a GPU are read to the CPU.

    Raises:
        OSError: the file is not there or cannot be read.
        ValueError: it is no checkpoint, or would have to run code to be read.
    """
    path = Path(path)
    with path.open("rb"):
        pass  # so that a missing file is told as such, not by a reader's own words
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with torch.serialization.safe_globals(ALLOWED):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler before arbitrary bytes raises almost anything
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"refused, it wants to call {refused[1]}" if refused else "not a checkpoint"
        raise ValueError(f"{path}: {reason}") from None
    weights = content.get("state_dict", content) if isinstance(content, dict) else None
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{path}: holds no state_dict of tensors")
    return Checkpoint(path, {key.removeprefix("module."): value for key, value in weights.items()})


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            state_dict = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return Checkpoint(path, state_dict, file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from None


def mismatches(network: nn.Module, state_dict: dict[str, Tensor]) -> list[str]:
    """What stands between weights and a strict load, a line each; empty if they fit."""
    wanted = network.state_dict()
    missing = [f"missing {key}" for key in wanted if key not in state_dict]
    unknown = [f"unknown {key}" for key in state_dict if key not in wanted]
    shapes = [
        f"{key} is {tuple(value.shape)}, not {tuple(wanted[key].shape)}"
        for key, value in state_dict.items()
        if key in wanted and value.shape != wanted[key].shape
    ]
    return missing + unknown + shapes


def write_safetensors(
    path: str | Path, state_dict: dict[str, Tensor], metadata: dict[str, str]
) -> None:
    """Write weights and metadata so that path holds either all of it or what it held before."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file({key: value.contiguous() for key, value in state_dict.items()}, partial, metadata)
        partial.chmod(0o644)  # safetensors lets nobody else read what it writes
        partial.replace(path)
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error})") from None
    finally:
        partial.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
