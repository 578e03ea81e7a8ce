"""Reading in a thread: the newest of what is live, the next few of what is stored.

A live source does not wait. Read in line with the tracking, its frames pile up in some buffer and
each comes later than the one before it; so a thread reads them all and keeps only the newest.
A file does wait, and there the thread only reads a little ahead.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar("T")

WAKE_UP = 0.5  # seconds; on some systems Ctrl-C is only seen between two waits


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
