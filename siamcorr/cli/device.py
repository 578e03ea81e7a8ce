"""The option `--device`: find the torch.device."""

import re

import torch


def choose_device(name: str) -> torch.device:
    """Resolve "auto", "cpu", "cuda" or "cuda:N"; auto is the GPU if there is one.

    Raises:
        ValueError: the name is unknown, or this machine does not have that GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:(0|[1-9][0-9]*))?", name):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, got {name}")
    kind, _, index = name.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name}: there are {torch.cuda.device_count()} CUDA devices here")
    return torch.device(name)
