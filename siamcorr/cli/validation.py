"""What several commands see to before they begin."""

import argparse
import os
from pathlib import Path

import torch


def check_counts(args: argparse.Namespace, *names: str) -> None:
    """See that options which count something are at least 1, where they are given.

    Raises:
        ValueError: one is not.
    """
    for name in names:
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be >= 1, got {value}")


PER_CORE = 4  # threads or processes; with hundreds on a few cores nothing ever ends


def check_workers(args: argparse.Namespace, *names: str) -> None:
    """See that options which count threads or processes fit this machine's cores.

    Raises:
        ValueError: one is below 1, or more than the cores can carry.
    """
    check_counts(args, *names)
    cores = os.cpu_count() or 1
    for name in names:
        value = getattr(args, name)
        if value is not None and value > PER_CORE * cores:
            limit = f"at most {PER_CORE * cores} on this machine with {cores} cores"
            raise ValueError(f"--{name} must be {limit}, got {value}")


def use_threads(args: argparse.Namespace) -> None:
    """Let torch use as many CPU threads as --threads says, if it does.

    Raises:
        ValueError: fewer than 1, or too many for this machine.
    """
    check_workers(args, "threads")
    if args.threads is not None:
        torch.set_num_threads(args.threads)


def check_writable(path: str | Path) -> None:
    """See that a file can be written; what is there stays, and nothing new is left.

    Raises:
        OSError: it cannot.
    """
    path = Path(path)
    there = path.exists()
    with path.open("ab"):
        pass
    if not there:
        path.resolve().unlink()  # of a link, what it names
