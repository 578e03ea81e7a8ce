"""Connecting anew where a live source breaks off, with waits that grow."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Readable(Protocol[T_co]):
    """What can be read one after another, until it breaks or ends."""

    def read(self) -> T_co | None:
        """The next one; None if there are no more."""

    def close(self) -> None:
        """Let go of what is read from."""


@dataclass(frozen=True)
class Patience:
    """How long to try to have a source back: waits that double from first to longest, in seconds.

    After total seconds without success it is given up.

    Example:
        >>> Patience(first=0.5, longest=0.1)
        Traceback (most recent call last):
        ValueError: Patience: must be 0 < first <= longest, 0 < total, got 0.5, 0.1, 30.0
    """

    first: float = 0.5
    longest: float = 4.0
    total: float = 30.0

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.longest and self.total > 0):
            got = f"{self.first}, {self.longest}, {self.total}"
            raise ValueError(f"Patience: must be 0 < first <= longest, 0 < total, got {got}")

    def waits(self) -> Iterator[float]:
        """The waits before one try and the next; the last try is made as the time runs out."""
        end, wait = time.monotonic() + self.total, self.first
        while (left := end - time.monotonic()) > 0:
            yield min(wait, left)
            wait = min(2 * wait, self.longest)


class Reconnecting(Generic[T]):
    """One thing after another from a source that is connected anew where it breaks off.

    Args:
        connected: what to read at first.
        connect: makes the next one; a ValueError or an OSError from it is a try that failed.
        patience: how often and how long to try.
        stop: ends a wait, and the reading.

    Attributes:
        reconnects: how often something was read again after a break.
    """

    def __init__(
        self,
        connected: Readable[T],
        connect: Callable[[], Readable[T]],
        patience: Patience,
        stop: threading.Event,
    ) -> None:
        self.reconnects = 0
        self._connected: Readable[T] | None = connected
        self._connect, self._patience, self._stop = connect, patience, stop

    def read_all(self) -> Generator[T, None, None]:
        """Read until it is told to stop; what is connected then is closed.

        Raises:
            TimeoutError: the source did not come back.
        """
        try:
            while not self._stop.is_set():
                item = self._connected.read() if self._connected else None
                if item is None:
                    self._disconnect()
                    item = self._read_again()
                if item is not None:
                    yield item
        finally:
            self._disconnect()

    def _read_again(self) -> T | None:
        """What a new connection gives first, for one that gives nothing is none; None at a stop."""
        for wait in self._patience.waits():
            if self._stop.wait(wait):
                return None
            try:
                self._connected = self._connect()
            except (OSError, ValueError):
                continue
            item = self._connected.read()
            if item is not None:
                self.reconnects += 1
                return item
            self._disconnect()
        raise TimeoutError(f"not back within {self._patience.total:g} s")

    def _disconnect(self) -> None:
        connected, self._connected = self._connected, None
        if connected is not None:
            connected.close()
