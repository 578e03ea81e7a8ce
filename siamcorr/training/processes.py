"""One process, or several processes of torchrun."""

import os
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(days=1)  # the shares of the processes may take very different times


@dataclass(frozen=True)
class Processes:
    """Rank of this process, counted from 0, number of processes, and device of this process."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def share(self, numbers: Tensor) -> Tensor:
        """Return this process's columns of numbers (steps, batch)."""
        return numbers[:, self.rank :: self.count]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Wrap the module so that its gradients are averaged over all processes."""
        if self.count == 1:
            return module
        place = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=place)

    def wait(self) -> None:
        """Wait until all processes have reached this call."""
        if self.count > 1:
            distributed.barrier()

    def close(self) -> None:
        """Leave the process group."""
        if self.count > 1:
            distributed.destroy_process_group()


def rank_and_count() -> tuple[int, int]:
    """Return rank, counted from 0, and number of processes; 0 and 1 without torchrun.

    Raises:
        ValueError: torchrun's environment is incomplete.
    """
    broken = "torchrun's environment is incomplete"
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
    """Join the process group, if torchrun started several processes.

    Args:
        device: device to train on; with several GPUs, each process uses its own.

    Raises:
        ValueError: torchrun's environment is incomplete.
    """
    rank, count = rank_and_count()
    if "WORLD_SIZE" in os.environ and device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if count > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)
    return Processes(rank, count, device)
