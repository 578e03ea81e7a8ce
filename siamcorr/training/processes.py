"""One process, or several under torchrun that train as one."""

import os
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(days=1)  # one may have a longer share than another


@dataclass(frozen=True)
class Processes:
    """This process (rank, counted from 0) among `count`, and the device it trains on."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def share(self, numbers: Tensor) -> Tensor:
        """This process's columns of (steps, batch)."""
        return numbers[:, self.rank :: self.count]

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module, whose gradients are means over all processes."""
        if self.count == 1:
            return module
        place = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=place)

    def wait(self) -> None:
        """Until all have come this far."""
        if self.count > 1:
            distributed.barrier()

    def close(self) -> None:
        """Part from the others."""
        if self.count > 1:
            distributed.destroy_process_group()


def join_processes(device: torch.device) -> Processes:
    """Join the others, if torchrun started some.

    Args:
        device: to train on; of several GPUs each process takes its own.

    Raises:
        ValueError: torchrun's environment is not whole.
    """
    if "WORLD_SIZE" not in os.environ:
        return Processes(device=device)
    if "RANK" not in os.environ:
        raise ValueError("torchrun's environment is not whole: there is WORLD_SIZE without RANK")
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if count > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)
    return Processes(rank, count, device)
