"""`siamcorr track --jobs TABLE.csv`: many videos, several at once; what is done is left alone."""

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
NEEDED = {"video", "x", "y", "w", "h"}
SUFFIXES = {"--boxes": ".csv", "--output": ".mp4"}
LONGEST = 1_000_000  # rows of a table


@dataclass(frozen=True)
class Job:
    """A video, what is marked in it, and where its results go.

    result: path without suffix, below the folders of results.
    """

    video: Path
    marks: tuple[str, ...]
    result: Path


@dataclass(frozen=True)
class Told:
    """What came of a job: "followed", "there already" or why not."""

    job: Job
    state: str
    problem: str = ""


Task = tuple[Job, dict[str, Path], tuple[str, ...]]  # results by option, and more options


def read_jobs(path: Path) -> list[Job]:
    """The jobs of a table, in the order in which their videos first stand in it.

    A row is a mark: video,frame,x,y,w,h,name, where frame is 0 and the name none if they are left
    out. Videos are looked for beside the table.

    Raises:
        OSError: the table cannot be read.
        ValueError: it is none, or a row of it is wrong.
    """
    marks: dict[str, list[str]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = csv.DictReader(file)
            names = rows.fieldnames or []
            if NEEDED - {*names} or {*names} - {*COLUMNS}:
                raise ValueError(f"{path}: its columns must be {','.join(COLUMNS)}")
            for number, row in enumerate(rows):
                if number == LONGEST:
                    raise ValueError(f"{path}: has more than {LONGEST} rows")
                video, mark = _read_row(row, f"{path}: line {rows.line_num}")
                marks.setdefault(video, []).append(mark)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: is no table ({error})") from None
    if not marks:
        raise ValueError(f"{path}: names no video")
    jobs = [
        Job(path.parent / video, tuple(known), result_name(video)) for video, known in marks.items()
    ]
    seen: dict[Path, Job] = {}
    for job in jobs:
        other = seen.setdefault(job.result, job)
        if other is not job:
            raise ValueError(f"{path}: results of {job.video} and {other.video} have one name")
    return jobs


def _read_row(row: dict[str, str], where: str) -> tuple[str, str]:
    """The video, and the mark as --box takes it."""
    if None in row or None in row.values():
        raise ValueError(f"{where}: has not as many fields as the header")
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
    """Where a video's results go, below the folder of all: its own path without the suffix.

    Example:
        >>> result_name("day/one.mp4").as_posix(), result_name("/videos/../two.mp4").as_posix()
        ('day/one', 'videos/two')
    """
    path = Path(video)
    parts = [part for part in path.parts if part not in (path.anchor, ".", "..")]
    return Path(*parts[:-1], Path(parts[-1]).stem) if parts else Path("result")


def share(jobs: Sequence[Job]) -> list[Job]:
    """Under torchrun every rank's own part, by the order of the table; else all.

    Raises:
        ValueError: torchrun's environment is not whole.
    """
    rank, count = rank_and_count()
    return [*jobs[rank::count]]


def run_jobs(
    jobs: Sequence[Job], folders: Mapping[str, Path], options: Sequence[str], processes: int = 1
) -> Iterator[Told]:
    """Follow through all of them, as they get done; a video that fails costs only itself.

    Args:
        jobs: see `read_jobs`.
        folders: of the tables of boxes ("--boxes"), of the videos ("--output"), or both.
        options: of `siamcorr track`, for each.
        processes: that work side by side, and share the cores out.
    """
    count = max(1, (os.cpu_count() or 1) // processes)
    waiting: list[Task] = []
    for job in jobs:
        wanted = {
            option: folder / job.result.with_name(job.result.name + SUFFIXES[option])
            for option, folder in folders.items()
        }
        if all(path.is_file() for path in wanted.values()):
            yield Told(job, "there already")
        else:
            waiting.append((job, wanted, tuple(options)))
    done = set()
    with suppress(BrokenProcessPool):
        for told in _in_processes(waiting, processes, count):
            done.add(told.job)
            yield told
    # A decoder that crashed took all processes along: whose was it?
    for task in waiting:
        if task[0] not in done:
            try:
                yield from _in_processes([task], 1, count)
            except BrokenProcessPool:
                yield Told(task[0], "failed", "the process that followed it died")


def _in_processes(tasks: Sequence[Task], processes: int, threads: int) -> Iterator[Told]:
    """Even one video in a process of its own: one that crashes leaves bar and summary."""
    with ProcessPoolExecutor(
        processes, get_context("spawn"), torch.set_num_threads, (threads,)
    ) as pool:
        running = [pool.submit(_follow, *task) for task in tasks]
        try:
            for ready in as_completed(running):
                yield ready.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _follow(job: Job, wanted: dict[str, Path], options: tuple[str, ...]) -> Told:
    """One video by `siamcorr track`; its results get their names once all of them are whole."""
    from siamcorr.cli import main

    partial = {
        option: path.with_name(f".{path.stem}.part{path.suffix}") for option, path in wanted.items()
    }
    marks = [word for mark in job.marks for word in ("--box", mark)]
    files = [word for option, path in partial.items() for word in (option, str(path))]
    said = io.StringIO()
    try:
        for path in wanted.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            code = main(["track", *marks, *files, "--no-show", *options, "--", str(job.video)])
        if code:
            return Told(job, "failed", _reason(said.getvalue()))
        for option, path in partial.items():
            path.replace(wanted[option])
    except (OSError, SystemExit) as error:
        return Told(job, "failed", _reason(said.getvalue()) or str(error))
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return Told(job, "followed")


def _reason(said: str) -> str:
    """The last line that a command wrote of itself."""
    lines = [line for line in said.splitlines() if line.startswith("siamcorr: ")]
    return lines[-1].removeprefix("siamcorr: ") if lines else said.strip()[-200:]


def follow_jobs(
    path: Path, folders: Mapping[str, str | None], options: Sequence[str], processes: int
) -> int:
    """All of a table under one bar, and a summary; 2 where a video failed.

    Args:
        path: of the table.
        folders: as for `run_jobs`; None where one is not wanted.
        options: as for `run_jobs`.
        processes: likewise.

    Raises:
        OSError: the table cannot be read.
        ValueError: it is none, or nothing would be written.
    """
    wanted = {option: Path(folder) for option, folder in folders.items() if folder}
    if not wanted:
        raise ValueError("--jobs: give --boxes FOLDER, --output FOLDER or both")
    for folder in wanted.values():
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder}: is no folder, which --jobs writes to")
    jobs = share(read_jobs(path))
    told = []
    with tqdm(total=len(jobs), unit=" videos", desc=path.name) as bar:
        for each in run_jobs(jobs, wanted, options, processes):
            told.append(each)
            bar.update()
    states = [each.state for each in told]
    names = ("followed", "there already", "failed")
    print(", ".join(f"{states.count(name)} {name}" for name in names))
    for each in told:
        if each.problem:
            print(f"siamcorr: {each.job.video}: {each.problem}")
    return 2 if "failed" in states else 0
