"""From `--device` to a torch.device that is there."""

import re

import torch


def choose_device(name: str) -> torch.device:
    """Resolve "auto", "cpu", "cuda" or "cuda:N"; auto is the GPU where there is one.

    Raises:
        ValueError: another name, or a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:(0|[1-9][0-9]*))?", name):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, got {name}")
    kind, _, index = name.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name}: there are {torch.cuda.device_count()} CUDA devices here")
    return torch.device(name)
