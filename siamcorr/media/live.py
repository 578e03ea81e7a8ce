"""Reading in a thread: the newest of what is live, the next few of what is stored.

A live source does not wait. Read in line with the tracking, its frames pile up in some buffer and
each comes later than the one before it; so a thread reads them all and keeps only the newest.
A file does wait, and there the thread only reads a little ahead. Neither class knows what it reads.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

WAKE_UP = 0.5  # seconds; on some systems Ctrl-C is only seen between two waits


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


class ReadingThread(Generic[T]):
    """A thread that reads items, and the iterator over what it has read; an error comes in order.

    Args:
        items: what to read; only the thread does, and it closes them.
        room: how many may wait to be taken.
        newest: where there is no room, drop the oldest; otherwise the thread waits.
        stop: set by `close`; items that wait for something should look at it.

    Attributes:
        dropped: how many items were read and never given out.
    """

    def __init__(
        self,
        items: Generator[T, None, None],
        room: int,
        *,
        newest: bool,
        stop: threading.Event | None = None,
    ) -> None:
        self.dropped = 0
        self._items, self._room, self._newest = items, room, newest
        self._ready: deque[T] = deque()
        self._stop = stop or threading.Event()
        self._changed = threading.Condition()
        self._ended = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="siamcorr-source", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """Wait for the next item and give it out, until they end or `close` is called."""
        while True:
            with self._changed:
                while not (self._ready or self._ended or self._stop.is_set()):
                    self._changed.wait(WAKE_UP)
                if self._stop.is_set():
                    return
                if not self._ready:
                    break
                item = self._ready.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def close(self, patience: float | None = None) -> None:
        """End the thread; one stuck in a foreign call is left behind after patience (s)."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(patience)

    def _read(self) -> None:
        try:
            with closing(self._items) as items:
                for item in items:
                    if not self._put(item):
                        break
        except Exception as error:  # whatever it is, the one who iterates shall see it
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, item: T) -> bool:
        """Let an item wait to be taken; False if nobody will."""
        with self._changed:
            if self._newest and len(self._ready) == self._room:
                self._ready.popleft()
                self.dropped += 1
            while len(self._ready) == self._room and not self._stop.is_set():
                self._changed.wait()
            self._ready.append(item)
            self._changed.notify_all()
            return not self._stop.is_set()
