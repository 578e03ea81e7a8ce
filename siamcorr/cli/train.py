"""`siamcorr train CONFIG.toml`: train a network; a second call resumes the run."""

import argparse
import csv
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from siamcorr.cli.device import choose_device
from siamcorr.cli.validation import check_counts, use_threads
from siamcorr.data.datasets.sequences import find_sequences
from siamcorr.data.synthetic.clips import Image
from siamcorr.data.synthetic.cutouts import video_cutouts
from siamcorr.data.synthetic.library import Library
from siamcorr.models import Preset, SiameseNetwork, assemble, load_preset, read_checkpoint
from siamcorr.models.checkpoints import write_safetensors
from siamcorr.training.config import PARTS, DataConfig, TrainConfig, load_config
from siamcorr.training.crops import CropDataset
from siamcorr.training.curves import plot_logs, read_log
from siamcorr.training.feature_objectives import Objective
from siamcorr.training.loop import Trainer, save
from siamcorr.training.objectives import make_objective, measure_features, measure_inner
from siamcorr.training.pairs import PairDataset, batches
from siamcorr.training.processes import Processes, join_processes
from siamcorr.training.pruning import prune_tower, widen_tower
from siamcorr.training.validation import (
    Clip,
    marked_clips,
    mean_overlaps,
    rendered_clips,
    sequence_clips,
)

ADAPTER = "adapter.safetensors"  # state of the feature imitation, for a later run


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("train", help="train a network")
    add = parser.add_argument
    add("config", metavar="CONFIG.toml", help="the run; see configs/train for examples")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change a value of the run")
    add("--device", default="auto", metavar="auto|cpu|cuda[:N]")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's)")
    add("--max-epochs", type=int, metavar="N", help="stop after N epochs of this call")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train from the last checkpoint, or from the start, to the last epoch of the config."""
    check_counts(args, "max_epochs")
    use_threads(args)
    config = load_config(args.config, args.set)
    processes = join_processes(choose_device(args.device))
    try:
        _train(config, processes, args.max_epochs)
    finally:
        processes.close()
    return 0


def _train(config: TrainConfig, processes: Processes, limit: int | None) -> None:
    network = _network(config)
    dataset, clips = _data(network.preset, config)
    if isinstance(dataset, PairDataset) and config.prune:
        prune_tower(network, batches(dataset, config.prune, config.batch))
    objective = make_objective(network.to(processes.device), config)
    _begin_imitation(objective, dataset, config)
    trainer = Trainer(network, dataset, config, processes, objective)
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    last = output / "last.pt"
    if last.exists():
        trainer.resume(last)
    if not config.epochs and processes.rank == 0:
        _save_best(trainer, output)
    end = config.epochs if limit is None else min(config.epochs, trainer.epoch + limit)
    while trainer.epoch < end:
        start = time.perf_counter()
        row = _epoch(trainer, processes)
        if processes.rank == 0:
            row["seconds"] = time.perf_counter() - start
            row["overlap"] = _overlap(trainer, clips, row)
            _save_epoch(trainer, output, row)
            print("  ".join(f"{name} {row[name]:.4g}" for name in columns(trainer)), flush=True)
        processes.wait()


def _data(preset: Preset, config: TrainConfig) -> tuple[PairDataset | CropDataset, list[Clip]]:
    """Return training data and validation clips; a run that learns features needs no clips."""
    if config.learns != "pairs":
        return CropDataset(preset, config.data, config.pairs, config.seed), []
    folders = [Path(folder).expanduser() for folder in config.data.folders]
    library = Library(folders, more=_real_cutouts(config.data))
    held_out = Library(folders, held_out=True)
    library.read_all()
    pairs = PairDataset(library, preset, config.data, config.pairs, config.seed)
    return pairs, _clips(held_out, config.data)


def _real_cutouts(config: DataConfig) -> list[Image]:
    """Return cut-outs of real objects, if the config has masks."""
    if not config.masks:
        return []
    folders = [Path(folder).expanduser() for folder in config.sequences]
    found = [sequence for folder in folders for sequence in find_sequences(folder)]
    return video_cutouts(found, config.masks)


def _begin_imitation(
    objective: Objective,
    dataset: PairDataset | CropDataset,
    config: TrainConfig,
) -> None:
    """Load the imitation of the earlier run, or measure the teacher's features on the data."""
    earlier = Path(config.initial).expanduser().parent / ADAPTER
    if config.initial and objective.imitation is not None and earlier.is_file():
        objective.imitation.load_state_dict(read_checkpoint(earlier).state_dict)
    else:
        measure_features(objective, dataset)
    measure_inner(objective, dataset)


def _overlap(trainer: Trainer, clips: list[Clip], row: dict[str, float]) -> float:
    """Return the mean overlap on the validation clips, or the explained variance of features."""
    if not clips:
        return 1 - row["features"]
    return float(np.mean([*mean_overlaps(trainer.averaged, clips).values()]))


def columns(trainer: Trainer) -> tuple[str, ...]:
    """Return the columns of the log: fixed ones, and the objective's losses."""
    names = trainer.objective.columns
    return ("epoch", "seconds", *names, "total", "rate", "norm", "overlap")


def _clips(library: Library, config: DataConfig) -> list[Clip]:
    """Return the validation clips: rendered ones, and real ones if the config has some."""
    marked = []
    if config.marked:
        marked = marked_clips(Path(config.marked).expanduser(), Path(config.videos).expanduser())
    return rendered_clips(library, config) + marked + sequence_clips(config.choice)


def _network(config: TrainConfig) -> SiameseNetwork:
    """Build the network with random weights or with the initial ones of the config.

    A network that will be pruned still has the channels of the initial weights.
    """
    torch.manual_seed(config.seed)
    network = assemble(load_preset(config.model))
    if config.prune:
        widen_tower(network)
    if config.initial:
        path = Path(config.initial).expanduser()
        state = read_checkpoint(path).state_dict
        own = network.state_dict()
        needed = {
            key for key in own if key.startswith(tuple(f"{p}." for p in config.initial_parts))
        }
        found = {
            key: state[key] for key in needed & state.keys() if state[key].shape == own[key].shape
        }
        whole = {*config.initial_parts} == {*PARTS}
        if not needed or found.keys() != needed or (whole and state.keys() != own.keys()):
            raise ValueError(f"{path}: does not contain weights of {config.model}")
        network.load_state_dict(found, strict=False)
    return network


def _epoch(trainer: Trainer, processes: Processes) -> dict[str, float]:
    """Train one epoch with a progress bar. Return the means over its second half."""
    steps = []
    name = f"epoch {trainer.epoch}"
    with tqdm(total=trainer.steps, desc=name, disable=processes.rank > 0, mininterval=5) as bar:
        for step in trainer.run_epoch():
            steps.append(step)
            bar.set_postfix(total=f"{step['total']:.3f}", refresh=False)
            bar.update()
    late = steps[len(steps) // 2 :]
    return {key: float(np.mean([step[key] for step in late])) for key in late[0]} | {
        "epoch": float(trainer.epoch)
    }


def _save_epoch(trainer: Trainer, output: Path, row: dict[str, float]) -> None:
    """Write the checkpoint, the log, and the averaged weights if they are the best so far."""
    log = output / "log.csv"
    fresh = not log.exists()
    with log.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(columns(trainer))
        writer.writerow([f"{row[name]:.6g}" for name in columns(trainer)])
    with suppress(ModuleNotFoundError):  # matplotlib needs the extra `plot`
        plot_logs([read_log(log)], output / "curves.png")
    _tensorboard(output, trainer.epoch, row)
    if row["overlap"] >= trainer.best:
        trainer.best = row["overlap"]
        _save_best(trainer, output)
        if trainer.objective.imitation is not None:
            write_safetensors(output / ADAPTER, trainer.objective.imitation.state_dict(), {})
    save(output / "last.pt", trainer.state())


def _save_best(trainer: Trainer, output: Path) -> None:
    """Write the averaged weights."""
    metadata = {"preset": trainer.network.preset.name, "epoch": f"{trainer.epoch}"}
    write_safetensors(output / "best.safetensors", trainer.averaged.state_dict(), metadata)


def _tensorboard(output: Path, epoch: int, row: dict[str, float]) -> None:
    """Write the same values for TensorBoard, if it is installed (extra `train`)."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        return
    with SummaryWriter(output) as writer:
        for name in row.keys() - {"epoch"}:
            writer.add_scalar(name, row[name], epoch)
