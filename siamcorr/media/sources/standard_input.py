"""A video through a pipe, kept in a file while it is read, for some have their index last."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from weakref import finalize

from siamcorr.media.frames import SourceError

S = TypeVar("S")

NAME = "standard input"


def open_standard_input(open_file: Callable[[str, Path], S]) -> S:
    """Read standard input to its end, and open what came as a file.

    Args:
        open_file: of a name for errors and a path.

    Raises:
        OSError: no room for it among the temporary files.
        SourceError: it is a terminal, empty, or no video.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise SourceError(f"{NAME}: is no video; send one into it: siamcorr track - < VIDEO")
    with tempfile.NamedTemporaryFile(prefix="siamcorr-", suffix=".video", delete=False) as file:
        path = Path(file.name)
        try:
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        except BaseException:
            path.unlink()
            raise
        size = file.tell()
    try:
        if not size:
            raise SourceError(f"{NAME}: is empty")
        source = open_file(NAME, path)
    except BaseException:
        path.unlink()
        raise
    with suppress(PermissionError):  # some systems keep a file while it is open
        path.unlink()
    finalize(source, path.unlink, missing_ok=True)
    return source
