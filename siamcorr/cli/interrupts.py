"""Stop on Ctrl-C after the current frame, so that video and table have the same frames."""

import signal
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")


class StopRequest:
    """Context manager: the first Ctrl-C or SIGTERM sets `requested`, a second one interrupts."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = self._waiting = False

    def __enter__(self) -> Self:
        """Install the signal handlers."""
        self._before = {number: signal.getsignal(number) for number in self.SIGNALS}
        for number in self.SIGNALS:
            signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def until_requested(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items until a stop is requested; a request also ends the wait for the next one."""
        source = iter(items)
        while not self.requested:
            try:
                self._waiting = True
                item = next(source, None)
            except KeyboardInterrupt:
                return
            finally:
                self._waiting = False
            if item is None:
                return
            yield item

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if again or self._waiting:
            raise KeyboardInterrupt
