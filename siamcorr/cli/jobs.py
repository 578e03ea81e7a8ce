"""`siamcorr track --jobs TABLE.csv`: track many videos in parallel; skip those with results."""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm import tqdm

from siamcorr.cli.box_option import parse_mark
from siamcorr.training.processes import rank_and_count

COLUMNS = ("video", "frame", "x", "y", "w", "h", "name")
REQUIRED = {"video", "x", "y", "w", "h"}
SUFFIXES = {"--boxes": ".csv", "--output": ".mp4"}
MAX_ROWS = 1_000_000


@dataclass(frozen=True)
class Job:
    """A video, its marks, and where its results go.

    result: path without suffix, relative to the result folders.
    """

    video: Path
    marks: tuple[str, ...]
    result: Path


@dataclass(frozen=True)
class Outcome:
    """How a job ended: state is "tracked", "already done" or "failed"; problem says why."""

    job: Job
    state: str
    problem: str = ""


Task = tuple[Job, dict[str, Path], tuple[str, ...]]  # job, output path by option, other options


def read_jobs(path: Path) -> list[Job]:
    """Read the jobs of a table, in the order of the first row of each video.

    A row is one mark: video,frame,x,y,w,h,name. The frame is 0 and there is no name if they are
    missing. Paths of videos are relative to the table's folder.

    Raises:
        OSError: the table cannot be read.
        ValueError: the file is not a table, or a row is wrong.
    """
    marks: dict[str, list[str]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = csv.DictReader(file)
            names = rows.fieldnames or []
            if REQUIRED - {*names} or {*names} - {*COLUMNS}:
                raise ValueError(f"{path}: its columns must be {','.join(COLUMNS)}")
            for number, row in enumerate(rows):
                if number == MAX_ROWS:
                    raise ValueError(f"{path}: has more than {MAX_ROWS} rows")
                video, mark = _read_row(row, f"{path}: line {rows.line_num}")
                marks.setdefault(video, []).append(mark)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: is not a table ({error})") from None
    if not marks:
        raise ValueError(f"{path}: names no video")
    jobs = [
        Job(path.parent / video, tuple(known), result_name(video)) for video, known in marks.items()
    ]
    seen: dict[Path, Job] = {}
    for job in jobs:
        other = seen.setdefault(job.result, job)
        if other is not job:
            raise ValueError(f"{path}: results of {job.video} and {other.video} have the same name")
    return jobs


def _read_row(row: dict[str, str], where: str) -> tuple[str, str]:
    """Return the video, and the mark in the form of --box."""
    if None in row or None in row.values():
        raise ValueError(f"{where}: its number of fields differs from the header's")
    video, name = row["video"].strip(), (row.get("name") or "").strip()
    if not video:
        raise ValueError(f"{where}: names no video")
    frame = (row.get("frame") or "").strip() or "0"
    box = ",".join(row[side].strip() for side in "xywh")
    text = f"{box}@{frame}" + (f":{name}" if name else "")
    try:
        parse_mark(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}".replace("--box", "a mark")) from None
    return video, text


def result_name(video: str) -> Path:
    """Return where a video's results go in the result folder: its own path without the suffix.

    Example:
        >>> result_name("day/one.mp4").as_posix(), result_name("/videos/../two.mp4").as_posix()
        ('day/one', 'videos/two')
    """
    path = Path(video)
    parts = [part for part in path.parts if part not in (path.anchor, ".", "..")]
    return Path(*parts[:-1], Path(parts[-1]).stem) if parts else Path("result")


def share(jobs: Sequence[Job]) -> list[Job]:
    """Return all jobs, or under torchrun the jobs of this rank.

    Raises:
        ValueError: torchrun's environment is incomplete.
    """
    rank, count = rank_and_count()
    return [*jobs[rank::count]]


def run_jobs(
    jobs: Sequence[Job], folders: Mapping[str, Path], options: Sequence[str], processes: int = 1
) -> Iterator[Outcome]:
    """Run all jobs, and yield each outcome as soon as it is known; one failure stops no other job.

    Args:
        jobs: see `read_jobs`.
        folders: folder of the tables ("--boxes"), of the videos ("--output"), or both.
        options: options of `siamcorr track` for every job.
        processes: processes in parallel; they share the cores.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    waiting: list[Task] = []
    for job in jobs:
        outputs = {
            option: folder / job.result.with_name(job.result.name + SUFFIXES[option])
            for option, folder in folders.items()
        }
        if all(path.is_file() for path in outputs.values()):
            yield Outcome(job, "already done")
        else:
            waiting.append((job, outputs, tuple(options)))
    done = set()
    with suppress(BrokenProcessPool):
        for outcome in _in_processes(waiting, processes, threads):
            done.add(outcome.job)
            yield outcome
    # A decoder crash breaks the whole pool. Run the rest one by one to find the broken video.
    for task in waiting:
        if task[0] not in done:
            try:
                yield from _in_processes([task], 1, threads)
            except BrokenProcessPool:
                yield Outcome(task[0], "failed", "its process crashed")


def _in_processes(tasks: Sequence[Task], processes: int, threads: int) -> Iterator[Outcome]:
    """Run tasks in processes, even a single one: a crash must not end the main process."""
    with ProcessPoolExecutor(
        processes, get_context("spawn"), torch.set_num_threads, (threads,)
    ) as pool:
        running = [pool.submit(_track, *task) for task in tasks]
        try:
            for ready in as_completed(running):
                yield ready.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _track(job: Job, outputs: dict[str, Path], options: tuple[str, ...]) -> Outcome:
    """Run `siamcorr track` on one video; rename its results when all of them are complete."""
    from siamcorr.cli import main

    partial = {
        option: path.with_name(f".{path.stem}.part{path.suffix}")
        for option, path in outputs.items()
    }
    marks = [word for mark in job.marks for word in ("--box", mark)]
    files = [word for option, path in partial.items() for word in (option, str(path))]
    stderr = io.StringIO()
    try:
        for path in outputs.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        with redirect_stderr(stderr), redirect_stdout(io.StringIO()):
            code = main(["track", *marks, *files, "--no-show", *options, "--", str(job.video)])
        if code:
            return Outcome(job, "failed", _reason(stderr.getvalue()))
        for option, path in partial.items():
            path.replace(outputs[option])
    except (OSError, SystemExit) as error:
        return Outcome(job, "failed", _reason(stderr.getvalue()) or str(error))
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return Outcome(job, "tracked")


def _reason(stderr: str) -> str:
    """Return the last line that the command itself wrote to stderr."""
    lines = [line for line in stderr.splitlines() if line.startswith("siamcorr: ")]
    return lines[-1].removeprefix("siamcorr: ") if lines else stderr.strip()[-200:]


def follow_jobs(
    path: Path, folders: Mapping[str, str | None], options: Sequence[str], processes: int
) -> int:
    """Run all jobs of a table and print a summary. Return 2 if a video failed, else 0.

    Args:
        path: the table.
        folders: as for `run_jobs`; None for an output that is not written.
        options: as for `run_jobs`.
        processes: as for `run_jobs`.

    Raises:
        OSError: the table cannot be read.
        ValueError: the table is wrong, or there is no output folder.
    """
    outputs = {option: Path(folder) for option, folder in folders.items() if folder}
    if not outputs:
        raise ValueError("--jobs: give --boxes FOLDER, --output FOLDER or both")
    for folder in outputs.values():
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder}: is not a folder, and --jobs writes to folders")
    jobs = share(read_jobs(path))
    outcomes = []
    with tqdm(total=len(jobs), unit=" videos", desc=path.name) as bar:
        for outcome in run_jobs(jobs, outputs, options, processes):
            outcomes.append(outcome)
            bar.update()
    states = [outcome.state for outcome in outcomes]
    names = ("tracked", "already done", "failed")
    print(", ".join(f"{states.count(name)} {name}" for name in names))
    for outcome in outcomes:
        if outcome.problem:
            print(f"siamcorr: {outcome.job.video}: {outcome.problem}")
    return 2 if "failed" in states else 0
