"""Reconnect to a live source after a lost connection, with growing waits."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Readable(Protocol[T_co]):
    """A connection that gives items until it ends or fails."""

    def read(self) -> T_co | None:
        """The next item; None if there is none."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True)
class Patience:
    """How long to try to reconnect: waits double from first to longest, in seconds.

    After total seconds without success, the source is given up.

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
        """Yield the wait before each try; the last try is made when the total time is over."""
        end, wait = time.monotonic() + self.total, self.first
        while (left := end - time.monotonic()) > 0:
            yield min(wait, left)
            wait = min(2 * wait, self.longest)


class Reconnector(Generic[T]):
    """Reads items from a source and reconnects after a lost connection.

    Args:
        connected: the first connection.
        connect: opens the next one; ValueError and OSError count as a failed try.
        patience: how often and how long to try.
        stop: ends waits and reading.

    Attributes:
        reconnects: number of successful reconnects.
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
        """Yield items until `stop` is set, then close the connection.

        Raises:
            TimeoutError: reconnecting failed.
        """
        try:
            while not self._stop.is_set():
                item = self._connected.read() if self._connected else None
                if item is None:
                    self._disconnect()
                    item = self._reconnect()
                if item is not None:
                    yield item
        finally:
            self._disconnect()

    def _reconnect(self) -> T | None:
        """Connect and return the first item; None if stopped. Without an item, the try failed."""
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
