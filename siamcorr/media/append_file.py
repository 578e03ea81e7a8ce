"""Append-only file. Each append is written completely or rolled back."""

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path


class AppendFile:
    """Unbuffered file: the bytes are in the file when `append` returns.

    If an append fails or Ctrl-C interrupts it, the file is cut back to its last size.

    Args:
        file: opened for writing, unbuffered and empty. A pipe works, but cannot be cut.
        path: shown in errors.
    """

    def __init__(self, file: FileIO, path: Path) -> None:
        self.file, self.path, self.size = file, path, 0

    def append(self, data: bytes) -> None:
        """Write bytes at the end.

        Raises:
            OSError: the write failed, for example on a full disk; errno says why.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self.file.fileno(), left) :]
            self.size += len(data)
        except BaseException as error:
            with suppress(OSError):  # a pipe cannot be cut
                self.cut(self.size)
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            raise

    def cut(self, size: int) -> None:
        """Keep the first size bytes only."""
        self.file.truncate(size)
        self.file.seek(size)
        self.size = size

    def read_from(self, begin: int) -> bytes:
        """The bytes from begin to the end; the file must be open for reading, too."""
        self.file.seek(begin)
        return self.file.read()

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self.file.closed

    def close(self) -> None:
        """Close the file."""
        self.file.close()
