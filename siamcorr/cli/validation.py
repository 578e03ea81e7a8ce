"""Checks of options that several commands share."""

import argparse
import os
from pathlib import Path

import torch


def check_counts(args: argparse.Namespace, *names: str) -> None:
    """Check that options, if given, are at least 1.

    Raises:
        ValueError: an option is below 1.
    """
    for name in names:
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be >= 1, got {value}")


PER_CORE = 4  # threads or processes; hundreds on a few cores would never finish


def check_workers(args: argparse.Namespace, *names: str) -> None:
    """Check that numbers of threads or processes fit this machine's cores.

    Raises:
        ValueError: a number is below 1 or above `PER_CORE` per core.
    """
    check_counts(args, *names)
    cores = os.cpu_count() or 1
    for name in names:
        value = getattr(args, name)
        if value is not None and value > PER_CORE * cores:
            limit = f"at most {PER_CORE * cores} on this machine with {cores} cores"
            raise ValueError(f"--{name} must be {limit}, got {value}")


def use_threads(args: argparse.Namespace) -> None:
    """Set torch's number of CPU threads to --threads, if it is given.

    Raises:
        ValueError: the number is below 1 or too large for this machine.
    """
    check_workers(args, "threads")
    if args.threads is not None:
        torch.set_num_threads(args.threads)


def check_writable(path: str | Path) -> None:
    """Check that a file can be written, without changing or creating it.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    existed = path.exists()
    with path.open("ab"):
        pass
    if not existed:
        path.resolve().unlink()  # for a link, remove its target
