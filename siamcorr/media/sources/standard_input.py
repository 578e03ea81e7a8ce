"""Read a video from standard input into a temporary file: some videos have their index last."""

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
    """Copy standard input to a temporary file, and open the file.

    Args:
        open_file: called with the name for errors and the path.

    Raises:
        OSError: the temporary file cannot be written.
        SourceError: standard input is a terminal, empty, or not a video.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise SourceError(f"{NAME}: is not a video; pipe one in: siamcorr track - < VIDEO")
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
    with suppress(PermissionError):  # some systems cannot delete an open file
        path.unlink()
    finalize(source, path.unlink, missing_ok=True)
    return source
