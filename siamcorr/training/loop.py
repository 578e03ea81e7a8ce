"""The training loop, on one process or several; a killed run can be resumed."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from siamcorr.data.synthetic.library import one_thread
from siamcorr.models import SiameseNetwork
from siamcorr.training.config import TrainConfig
from siamcorr.training.crops import CropDataset
from siamcorr.training.feature_objectives import Objective
from siamcorr.training.optimizer import learning_rate, make_optimizer, moving_average
from siamcorr.training.pair_objective import PairObjective
from siamcorr.training.pairs import PairDataset, collate
from siamcorr.training.processes import Processes


class Trainer:
    """A training run: network, optimizer, schedule and moving average, and their checkpoint.

    Args:
        network: network with its initial weights, on its device.
        dataset: pairs for all processes; each process takes its share.
        config: see `TrainConfig`.
        processes: rank and number of the processes.
        objective: the loss; default: the loss of the ground truth alone.

    Raises:
        ValueError: the batch is not a multiple of the processes, or the head has no loss.
    """

    def __init__(
        self,
        network: SiameseNetwork,
        dataset: PairDataset | CropDataset,
        config: TrainConfig,
        processes: Processes,
        objective: Objective | None = None,
    ) -> None:
        if config.batch % processes.count:
            raise ValueError(
                f"batch must be a multiple of the {processes.count} processes, got {config.batch}"
            )
        self.objective = objective or PairObjective(network)
        self.network, self.dataset = network, dataset
        self.config, self.processes = config, processes
        self.epoch = 0
        self.best = -1.0
        average = partial(moving_average, config.average)
        self.average = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
        self.optimizer = make_optimizer(self.objective, config)
        self.steps = config.pairs // config.batch
        self.schedule = LambdaLR(
            self.optimizer, lambda step: learning_rate(step, config, self.steps * config.epochs)
        )
        cuda = network.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(enabled=cuda)

    def run_epoch(self) -> Iterator[dict[str, float]]:
        """Train one epoch; yield the losses, the rate and the gradient norm of each step."""
        learns = self.epoch >= self.config.unfreeze
        for parameter in self.network.backbone.parameters():
            parameter.requires_grad_(learns)
        self.network.train()
        if not (learns and self.config.norms):
            self.network.backbone.eval()  # its batch norms keep their statistics
        self.objective.freeze()
        module = self.processes.wrap(self.objective)
        for batch in self._loader():
            yield self._step(module, self._to_device(batch))
        self.epoch += 1

    def _step(self, module: nn.Module, batch: Any) -> dict[str, float]:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.network.device.type, enabled=self.scaler.is_enabled()):
            losses: dict[str, Tensor] = module(batch)
        self.scaler.scale(losses["total"]).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        rate = self.schedule.get_last_lr()[0]
        self.schedule.step()
        self.average.update_parameters(self.network)
        return {"rate": float(rate), "norm": float(norm)} | {
            name: float(value.detach()) for name, value in losses.items()
        }

    def _to_device(self, batch: Any) -> Any:
        """Move a tensor or a named tuple of tensors; images become float, channels last."""
        if not isinstance(batch, Tensor):
            return type(batch)(*(self._to_device(part) for part in batch))
        moved = batch.to(self.network.device)
        if moved.dtype == torch.uint8:
            moved = moved.float().contiguous(memory_format=torch.channels_last)
        return moved

    def _loader(self) -> DataLoader[Any]:
        """Load this process's share of the epoch; all processes use the same shuffled order."""
        config, processes = self.config, self.processes
        order = torch.randperm(
            len(self.dataset), generator=torch.Generator().manual_seed(config.seed + self.epoch)
        )
        first = self.epoch * len(self.dataset)
        numbers = (order[: self.steps * config.batch] + first).view(self.steps, config.batch)
        share = processes.share(numbers).flatten().tolist()
        if config.workers:
            one_thread()  # a forked worker would wait forever for OpenCV's other threads
        return DataLoader(
            self.dataset,
            batch_size=config.batch // processes.count,
            sampler=share,
            num_workers=config.workers,
            collate_fn=collate if isinstance(self.dataset, PairDataset) else None,
            worker_init_fn=one_thread,
        )

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        return {
            "epoch": self.epoch,
            "best": self.best,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "imitation": self._imitation(),
            "inner": self.objective.inner.state_dict(),
            "kind": self.config.optimizer,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint with the contents of `state`.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is not a checkpoint, or one of another run.
        """
        try:
            state = torch.load(path, map_location=self.network.device, weights_only=True)
            kind = state.get("kind", self.config.optimizer)
            if kind != self.config.optimizer:
                raise ValueError(f"its optimizer is {kind}")
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            if self.objective.imitation is not None:
                self.objective.imitation.load_state_dict(state["imitation"])
            self.objective.inner.load_state_dict(state.get("inner", {}))
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            if state["scaler"]:  # empty if the run was on a CPU until now
                self.scaler.load_state_dict(state["scaler"])
            self.epoch, self.best = state["epoch"], state["best"]
        except OSError:
            raise
        except Exception as error:  # unpickling arbitrary bytes can raise almost anything
            raise ValueError(f"{path}: is not a checkpoint of this run ({error})") from None

    def _imitation(self) -> dict[str, Tensor]:
        """Return the weights that are trained with the network but not kept after training."""
        module = self.objective.imitation
        return {} if module is None else module.state_dict()

    @property
    def averaged(self) -> SiameseNetwork:
        """The network with the moving average of its weights; this one is validated and saved."""
        return cast("SiameseNetwork", self.average.module).eval()


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; if this fails, the old file stays as it was."""
    partial = path.with_name(f".{path.name}.part")
    try:
        torch.save(state, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
