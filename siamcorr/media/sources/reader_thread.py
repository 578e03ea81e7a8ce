"""Read items in a thread: the newest item of a live source, a few ahead of a file.

A live source does not wait for slow tracking: its frames would queue up and the delay would grow.
So the thread reads every frame and keeps only the newest.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar("T")

WAKE_UP = 0.5  # seconds; some systems handle Ctrl-C only between two waits


class ReaderThread(Generic[T]):
    """Thread that reads items into a queue; iterate for the items. Errors are raised in order.

    Args:
        items: to read; only the thread reads and closes them.
        room: length of the queue.
        newest: if the queue is full, drop the oldest item; otherwise the thread waits.
        stop: set by `close`; items that block should check it.

    Attributes:
        dropped: number of items that were dropped.
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
        """Wait for the next item and yield it, until the items end or `close` is called."""
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
        """Stop the thread; do not wait longer than patience (s) for a blocked read."""
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
        except Exception as error:  # raised again by the iterator
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, item: T) -> bool:
        """Put an item into the queue; False if the thread shall stop."""
        with self._changed:
            if self._newest and len(self._ready) == self._room:
                self._ready.popleft()
                self.dropped += 1
            while len(self._ready) == self._room and not self._stop.is_set():
                self._changed.wait()
            self._ready.append(item)
            self._changed.notify_all()
            return not self._stop.is_set()
