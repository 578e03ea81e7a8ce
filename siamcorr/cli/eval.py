"""`siamcorr eval TRACKER… --data DIR`: compare trackers in tables and a report."""

import argparse
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from tqdm import tqdm

from siamcorr.cli.trackers import make_tracker
from siamcorr.cli.validation import check_workers, check_writable, use_threads
from siamcorr.data.datasets.sequences import Sequence, find_sequences
from siamcorr.evaluation import Result, evaluate, run_supervised
from siamcorr.evaluation.evaluation_files import write_summary
from siamcorr.evaluation.summary import Summary, summarise
from siamcorr.evaluation.tables import Table
from siamcorr.training.processes import join_processes


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("eval", help="compare trackers on sequences with known boxes")
    add = parser.add_argument
    add("trackers", nargs="+", metavar="TRACKER", help="MODEL, MODEL=WEIGHTS, opencv:csrt …")
    add(
        "--data",
        required=True,
        metavar="DIR",
        help="sequences: OTB, VOT, GOT-10k, LaSOT, UAV123, plain",
    )
    add("--output", default="output/eval", metavar="DIR", help="folder for results and report")
    add("--processes", type=int, default=1, metavar="N", help="processes in parallel")
    add("--threads", type=int, metavar="N", help="CPU threads per process (default: torch's)")
    add("--failures", action="store_true", help="also count failures, with re-initialisation")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Track what has no result yet, print the tables, and write the report."""
    check_workers(args, "processes")
    use_threads(args)
    if find_spec("matplotlib") is None:
        raise ValueError("the report needs matplotlib: pip install 'siamcorr[plot]'")
    for name in args.trackers:
        make_tracker(name)  # fail before the tracking, which takes minutes
    sequences, problems = _find(args.data)
    output = Path(args.output)
    (output / "results").mkdir(parents=True, exist_ok=True)
    check_writable(output / "report.html")
    processes = join_processes(torch.device("cpu"))
    try:
        if processes.count > 1:  # each tracks its share; the first one then reads all results
            mine = sequences[processes.rank :: processes.count]
            _track(args, mine, output / "results", [])
            processes.wait()
            if processes.rank > 0:
                return 0
    finally:
        processes.close()
    results = _track(args, sequences, output / "results", problems)
    summary = summarise(results, sequences)
    if args.failures:
        _count_failures(summary)
    summary.problems[:0] = problems
    tables = write_summary(output, summary)
    _print(tables["Trackers"])
    if "Attributes" in tables:
        print("\nSuccess AUC by attribute:")
        _print(tables["Attributes"])
    for problem in summary.problems:
        print(f"siamcorr: {problem}")
    print(f"report: {output / 'report.html'}")
    return 0


def _find(data: str) -> tuple[list[Sequence], list[str]]:
    """Return the sequences of a folder, and why others cannot be used."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            sequences = find_sequences(data)
        except ValueError:
            for warning in caught:
                print(f"siamcorr: {warning.message}", file=sys.stderr)
            raise
    if any(s.polygons is not None for s in sequences) and find_spec("shapely") is None:
        raise ValueError("overlaps with polygons need shapely: pip install 'siamcorr[eval]'")
    return sequences, [str(warning.message) for warning in caught]


def _track(
    args: argparse.Namespace, sequences: list[Sequence], folder: Path, problems: list[str]
) -> dict[str, dict[str, Result]]:
    """Return the results by tracker and sequence; the reasons for missing ones go to `problems`."""
    results: dict[str, dict[str, Result]] = {name: {} for name in args.trackers}
    jobs = evaluate(make_tracker, results, sequences, folder, args.processes, args.threads)
    for job in tqdm(jobs, total=len(results) * len(sequences), unit=" runs"):
        if job.result is None:
            problems.append(f"{job.tracker} on {job.sequence}: {job.problem}")
        else:
            results[job.tracker][job.sequence] = job.result
    return results


def _count_failures(summary: Summary) -> None:
    """Count the failures in the sequences that each tracker finished; errors become problems."""
    summary.failures = {name: {} for name in summary.scores}
    for name, counted in tqdm(summary.failures.items(), unit=" trackers"):
        for sequence in summary.sequences:
            if sequence.name in summary.scores[name]:
                try:
                    counted[sequence.name] = run_supervised(make_tracker(name), sequence)
                except (OSError, ValueError, RuntimeError) as error:
                    text = f"{name} on {sequence.name}, failures not counted: {error}"
                    summary.problems.append(text)


def _print(table: Table) -> None:
    """Print a table with aligned columns."""
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *cells[1:]]))
