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


def rank_and_count() -> tuple[int, int]:
    """Which process this is, counted from 0, and of how many; 0 and 1 where torchrun is not.

    Raises:
        ValueError: torchrun's environment is not whole.
    """
    broken = "torchrun's environment is not whole"
    rank, count = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if count is not None and rank is None:
        raise ValueError(f"{broken}: there is WORLD_SIZE without RANK")
    try:
        place = int(rank or 0), int(count or 1)
    except ValueError:
        place = -1, 0
    if not 0 <= place[0] < place[1]:
        raise ValueError(f"{broken}: RANK {rank} of WORLD_SIZE {count}")
    return place


def join_processes(device: torch.device) -> Processes:
    """Join the others, if torchrun started some.

    Args:
        device: to train on; of several GPUs each process takes its own.

    Raises:
        ValueError: torchrun's environment is not whole.
    """
    rank, count = rank_and_count()
    if "WORLD_SIZE" in os.environ and device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if count > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)
    return Processes(rank, count, device)
