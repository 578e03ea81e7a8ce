"""The command line, `siamcorr COMMAND …`: one file per command."""

import argparse
import os
import sys
from contextlib import suppress

import cv2
import torch

from siamcorr import __version__
from siamcorr.cli import (
    annotate,
    bench,
    convert,
    download,
    eval,
    export,
    models,
    profile,
    summary,
    track,
    train,
    tune,
    web,
)
from siamcorr.cli.examples import epilog
from siamcorr.models import keep_freed_memory
from siamcorr.ops import kernels

COMMANDS = (
    track,
    models,
    download,
    convert,
    export,
    summary,
    profile,
    bench,
    train,
    tune,
    eval,
    annotate,
    web,
)


def _version() -> str:
    variant = kernels.VARIANT or "none"
    return f"siamcorr {__version__} (torch {torch.__version__}, native kernels: {variant})"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="siamcorr", description="Siamese visual tracking.")
    parser.add_argument("--version", action="version", version=_version())
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    for name, subparser in subparsers.choices.items():
        subparser.epilog = epilog(name)
        subparser.formatter_class = argparse.RawDescriptionHelpFormatter
    with suppress(ImportError):  # the extra `completion`
        import shtab

        shtab.add_argument_to(parser, "--print-completion")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code: 2, after one line of text, for wrong input."""
    parser = build_parser()
    argv = sys.argv[1:] if argv is None else argv
    if argv.count("--") > 1:  # argparse would drop the second one, too
        parser.error("-- ends the options and may occur once; write ./-- for a file of that name")
    args = parser.parse_args(argv)
    _quiet_opencv()
    keep_freed_memory()
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError, torch.OutOfMemoryError) as error:
        if os.environ.get("SIAMCORR_DEBUG"):
            raise
        print(f"siamcorr: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("siamcorr: interrupted", file=sys.stderr)
        return 130
    return code


def _quiet_opencv() -> None:
    """Silence OpenCV and FFmpeg: our own error lines say what went wrong."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    silence = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # OpenCV 4 or 5
    silence(0)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
