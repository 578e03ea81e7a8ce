"""Checkpoints: weights from strangers in, safetensors out.

A .pth file is a pickle, and a pickle is a program. Here it is read by torch's restricted
unpickler alone, and the few harmless names that published files hold lead to `stand_ins`.
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
    """Weights as they lay in a file, without what training wrapped them in.

    metadata: empty for a pickle.
    beside: keys that lay outside the wrapped network, a loss's for instance.
    """

    path: Path
    state_dict: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

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
        unused = [key for key in self.state_dict if key.startswith(weights.unused)]
        return [*unused, *self.beside]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read .safetensors, or any .pth, .pt or .ckpt that holds tensors and harmless values.

    Weights may lie flat or nested ("state_dict", "model", "ema" and the like), under their own
    keys or behind "module.", "model." and the like, see `wrappers`; of two copies the averaged one
    is taken. Tensors saved from a GPU are read to the CPU.

    Raises:
        OSError: the file is not there or cannot be read.
        ValueError: it is no checkpoint, or would have to run code to be read.
    """
    path = Path(path)
    with path.open("rb"):
        pass  # so that a missing file is told as such, not by a reader's own words
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
    except Exception as error:  # an unpickler before arbitrary bytes raises almost anything
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"refused, it wants to call {refused[1]}" if refused else "not a checkpoint"
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
