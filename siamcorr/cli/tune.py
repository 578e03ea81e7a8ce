"""`siamcorr tune MODEL --data DIR`: tune a recipe's constants on sequences with ground truth."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from siamcorr.cli.validation import check_counts, check_workers, check_writable, use_threads
from siamcorr.data.datasets.sequences import Sequence, find_sequences
from siamcorr.evaluation.tuning import (
    best_constants,
    finished,
    open_study,
    replace_constants,
    search,
)
from siamcorr.models import build_model, find_weights, for_inference, load_preset
from siamcorr.models.presets import preset_path

if TYPE_CHECKING:
    import optuna


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("tune", help="tune a recipe's constants on your sequences")
    add = parser.add_argument
    add("model", metavar="MODEL", help="a preset, or its TOML file")
    add("--weights", metavar="FILE", help="of the model (default: the published ones)")
    add("--data", required=True, nargs="+", metavar="DIR", help="sequences, as for siamcorr eval")
    add("--output", default="output/tune", metavar="DIR", help="folder for study and preset")
    add("--trials", type=int, default=200, metavar="N", help="total, with those of earlier calls")
    add("--processes", type=int, default=1, metavar="N", help="processes in parallel")
    add("--threads", type=int, metavar="N", help="CPU threads per process (default: torch's)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run trials until the study has enough, and write the best constants as a preset."""
    check_counts(args, "trials")
    check_workers(args, "processes")
    use_threads(args)
    if find_spec("optuna") is None:
        raise ValueError("tuning needs optuna: pip install 'siamcorr[tune]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    preset = load_preset(args.model)
    weights = Path(args.weights) if args.weights else find_weights(preset)
    build_model(args.model, weights)  # fail before anything is written
    sequences = [sequence for folder in args.data for sequence in find_sequences(folder)]
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    result = output / f"{preset.name}.toml"
    check_writable(result)
    study = open_study(output / f"{preset.name}.journal", preset, sequences)
    jobs = [
        (args.model, weights, args.data, output / f"{preset.name}.journal", args.trials, rank)
        for rank in range(args.processes)
    ]
    with _bar(study, args.trials) as bar:
        if args.processes == 1:
            work(*jobs[0], done=bar)
        else:
            _run_processes(jobs, args.threads, bar)
    _print_result(study, sequences, result)
    text = preset_path(args.model).read_text(encoding="utf-8")
    result.write_text(replace_constants(text, best_constants(study, preset)), encoding="utf-8")
    print(f"preset: {result}")
    return 0


def work(
    model: str,
    weights: Path,
    data: list[str],
    journal: Path,
    trials: int,
    rank: int,
    threads: int | None = None,
    done: Any = lambda: None,
) -> None:
    """Run the trials of one process; the journal file holds the study."""
    if threads is not None:
        torch.set_num_threads(threads)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    network = for_inference(build_model(model, weights))
    sequences = [sequence for folder in data for sequence in find_sequences(folder)]
    study = open_study(journal, network.preset, sequences)
    search(study, network, sequences, trials, seed=finished(study) * 1000 + rank, done=done)


def _run_processes(jobs: list[Any], threads: int | None, bar: Any) -> None:
    """Run each job in its own process, and update the bar.

    Raises:
        ValueError: a process failed; it has printed its error.
    """
    context = get_context("spawn")
    workers = [context.Process(target=work, args=(*job, threads), daemon=True) for job in jobs]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        time.sleep(0.5)
        bar()
    bar()
    if any(worker.exitcode for worker in workers):
        raise ValueError("a tuning process failed, see its error above")


@contextmanager
def _bar(study: "optuna.Study", trials: int) -> Iterator[Any]:
    """Show a progress bar over trials; the yielded function updates it."""
    with tqdm(total=trials, initial=min(trials, finished(study)), unit=" trials") as bar:

        def show() -> None:
            bar.n = min(trials, finished(study))
            if any(trial.value is not None for trial in study.get_trials(deepcopy=False)):
                bar.set_postfix(best=f"{study.best_value:.4f}", refresh=False)
            bar.refresh()

        show()
        yield show


def _print_result(study: "optuna.Study", sequences: list[Sequence], result: Path) -> None:
    """Print the best mean IoU and that of the preset's own constants."""
    first = study.get_trials(deepcopy=False)[0]
    before = f"{first.value:.4f}" if first.value is not None else "unknown"
    count = len(sequences)
    print(f"mean IoU over {count} sequences: {study.best_value:.4f}, before {before}")
    for name, value in study.best_params.items():
        print(f"{name} = {value:.3g}, was {first.params.get(name, float('nan')):.3g}")
