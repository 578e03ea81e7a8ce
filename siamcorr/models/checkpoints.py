"""Checkpoints: read weights from untrusted files, write safetensors.

A .pth file is a pickle, and unpickling can run any code. So only torch's restricted unpickler
reads it. The few harmless classes in published files become placeholders, see
`siamcorr.models.pickle_placeholders`.
"""

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from siamcorr.models.checkpoint_layouts import unwrap
from siamcorr.models.pickle_placeholders import ALLOWED
from siamcorr.models.presets import WeightsConfig


@dataclass(frozen=True)
class Checkpoint:
    """The weights in a file, without the wrappers and prefixes of training scripts.

    Attributes:
        metadata: empty for a pickle.
        beside: keys outside the wrapped network, for instance those of a loss.
    """

    path: Path
    state_dict: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    def as_published(self, weights: WeightsConfig) -> dict[str, Tensor]:
        """The weights under the network's keys, without those that it does not use."""
        prefix = weights.prefix
        return {
            key if key.startswith(prefix) else prefix + key: value
            for key, value in self.state_dict.items()
            if not key.startswith(weights.unused)
        }

    def dropped(self, weights: WeightsConfig) -> list[str]:
        """Keys that the network does not use."""
        unused = [key for key in self.state_dict if key.startswith(weights.unused)]
        return [*unused, *self.beside]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read .safetensors, or any .pth, .pt or .ckpt that holds tensors and harmless values.

    Weights may be nested ("state_dict", "model", "ema" and so on), and keys may have prefixes
    ("module.", "model." and so on), see `siamcorr.models.checkpoint_layouts`. Averaged weights are
    preferred. Tensors saved from a GPU are loaded on the CPU.

    Raises:
        OSError: the file does not exist or cannot be read.
        ValueError: not a checkpoint, or reading it would run code.
    """
    path = Path(path)
    with path.open("rb"):
        pass  # a missing file raises the usual OSError, not an error of the reader
    metadata: dict[str, str] = {}
    content: object
    if path.suffix == ".safetensors":
        content, metadata = _read_safetensors(path)
    else:
        content = _read_pickle(path)
    weights = unwrap(content)
    if weights is None:
        raise ValueError(f"{path}: holds no state_dict of tensors")
    return Checkpoint(path, weights.state_dict, metadata, weights.beside)


def _read_pickle(path: Path) -> object:
    try:
        with torch.serialization.safe_globals(ALLOWED):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on arbitrary bytes an unpickler can raise almost anything
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"refused, reading it would call {refused[1]}" if refused else "not a checkpoint"
        if "TorchScript" in str(error):
            reason = "refused, a TorchScript file is a program; save its state_dict() instead"
        raise ValueError(f"{path}: {reason}") from None


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from None


def mismatches(network: nn.Module, state_dict: dict[str, Tensor]) -> list[str]:
    """Reasons why a strict load would fail, one line each; empty if the weights fit."""
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
    """Write weights and metadata atomically: path holds the old or the new file, never a part."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file({key: value.contiguous() for key, value in state_dict.items()}, partial, metadata)
        partial.chmod(0o644)  # safetensors writes files that only the owner can read
        partial.replace(path)
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error})") from None
    finally:
        partial.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
