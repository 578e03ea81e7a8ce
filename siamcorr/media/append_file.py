"""A file that grows by whole pieces: what reached it stays, half a piece never does."""

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path


class GrowingFile:
    """Append to a file past all buffers, so that a piece is in it once `append` returns.

    A piece that does not fit whole, or that Ctrl-C interrupts, is taken back: the file always
    ends where a piece ends.

    Args:
        file: opened for writing, unbuffered and empty. A pipe will do where nothing is cut.
        path: what errors name.
    """

    def __init__(self, file: FileIO, path: Path) -> None:
        self.file, self.path, self.size = file, path, 0

    def append(self, piece: bytes) -> None:
        """Write a piece at the end.

        Raises:
            OSError: it cannot be written, as on a full disk; errno says why.
        """
        left = memoryview(piece)
        try:
            while left:
                left = left[os.write(self.file.fileno(), left) :]
            self.size += len(piece)
        except BaseException as error:
            with suppress(OSError):  # what is no file on a disk cannot be cut
                self.cut(self.size)
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            raise

    def cut(self, size: int) -> None:
        """Give back what lies behind the first size bytes."""
        self.file.truncate(size)
        self.file.seek(size)
        self.size = size

    def read_from(self, begin: int) -> bytes:
        """What lies behind the first begin bytes, in a file that was opened for reading too."""
        self.file.seek(begin)
        return self.file.read()

    @property
    def closed(self) -> bool:
        """Whether it is."""
        return self.file.closed

    def close(self) -> None:
        """Close the file."""
        self.file.close()
