"""`siamcorr eval TRACKER… --data DIR`: one table for several trackers, and a report."""

import argparse
import csv
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from siamcorr.cli.trackers import make_tracker
from siamcorr.data.sequences import Sequence, find_sequences
from siamcorr.evaluation import (
    Result,
    Scores,
    evaluate,
    mean_scores,
    overlaps,
    run_supervised,
    score,
    write_report,
)
from siamcorr.evaluation.report import score_table, strip, telling_frames


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("eval", help="compare trackers on sequences with known boxes")
    add = parser.add_argument
    add("trackers", nargs="+", metavar="TRACKER", help="a model, MODEL=WEIGHTS, or opencv:csrt …")
    add("--data", required=True, metavar="DIR", help="OTB, VOT, GOT-10k, LaSOT, UAV123 or plain")
    add("--output", default="output/eval", metavar="DIR", help="for results and report")
    add("--processes", type=int, default=1, metavar="N", help="that work side by side")
    add("--threads", type=int, metavar="N", help="CPU threads of each (default: torch's)")
    add("--failures", action="store_true", help="count failures with re-initialisation, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Track what was not tracked before, print the table, write the report."""
    if args.processes < 1 or (args.threads is not None and args.threads < 1):
        raise ValueError("--processes and --threads must be >= 1")
    if args.threads:
        torch.set_num_threads(args.threads)
    if find_spec("matplotlib") is None:
        raise ValueError("the report needs matplotlib: pip install 'siamcorr[plot]'")
    for name in args.trackers:
        make_tracker(name)  # what cannot be made is told before the minutes of tracking
    sequences = find_sequences(args.data)
    output = Path(args.output)
    results: dict[str, dict[str, Result]] = {name: {} for name in args.trackers}
    problems = []
    total = len(args.trackers) * len(sequences)
    folder, processes = output / "results", args.processes
    jobs = evaluate(make_tracker, args.trackers, sequences, folder, processes, args.threads)
    for job in tqdm(jobs, total=total, unit=" runs"):
        if job.result is None:
            problems.append(f"{job.tracker} on {job.sequence}: {job.problem}")
        else:
            results[job.tracker][job.sequence] = job.result
    scores = _scores(results, sequences)
    table = score_table(
        {name: mean_scores([*rows.values()]) for name, rows in scores.items()},
        {name: float(np.mean([r.fps for r in results[name].values()])) for name in scores},
    )
    if args.failures:
        _add_failures(table, results, sequences, problems)
    _print(table)
    for problem in problems:
        print(f"siamcorr: {problem}")
    _write(output, table, scores, results, sequences, problems)
    print(f"report: {output / 'report.html'}")
    return 0


def _scores(
    results: dict[str, dict[str, Result]], sequences: list[Sequence]
) -> dict[str, dict[str, Scores]]:
    """By tracker and sequence; a tracker that finished none is left out."""
    scores: dict[str, dict[str, Scores]] = {}
    for name, finished in results.items():
        for sequence in sequences:
            if sequence.name in finished:
                found = score(finished[sequence.name].boxes, sequence.boxes)
                scores.setdefault(name, {})[sequence.name] = found
    if not scores:
        raise ValueError("no tracker finished any sequence")
    return scores


def _add_failures(
    table: list[list[str]],
    results: dict[str, dict[str, Result]],
    sequences: list[Sequence],
    problems: list[str],
) -> None:
    """A column of failures in the sequences that a tracker finished, and the problems met."""
    table[0].append("failures")
    for line in tqdm(table[1:], unit=" trackers"):
        name, lost = line[0], 0
        for sequence in sequences:
            if sequence.name in results[name]:
                try:
                    lost += run_supervised(make_tracker(name), sequence)
                except ValueError as error:
                    problems.append(f"{name} on {sequence.name}, failures not counted: {error}")
        line.append(str(lost))


def _print(table: list[list[str]]) -> None:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *cells[1:]]))


def _write(
    output: Path,
    table: list[list[str]],
    scores: dict[str, dict[str, Scores]],
    results: dict[str, dict[str, Result]],
    sequences: list[Sequence],
    problems: list[str],
) -> None:
    """The table as CSV, and the page."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)
    curves, strips = {}, {}
    for sequence in sequences:
        done = {n: rows[sequence.name] for n, rows in results.items() if sequence.name in rows}
        if not done:
            continue
        curves[sequence.name] = {n: overlaps(r.boxes, sequence.boxes) for n, r in done.items()}
        wanted = telling_frames(curves[sequence.name])
        frames = [(i, frame) for i, frame in enumerate(sequence) if i in wanted]
        boxes = {name: result.boxes for name, result in done.items()}
        strips[sequence.name] = strip(frames, boxes, sequence.boxes)
    means = {name: mean_scores([*rows.values()]) for name, rows in scores.items()}
    write_report(output / "report.html", table, means, curves, strips, problems)
