"""Ctrl-C that lets the frame in hand be finished, so that video and table stay in step."""

import signal
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")


class StopRequest:
    """Within its block, the first Ctrl-C or SIGTERM sets `asked`; a second one interrupts."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = self._waiting = False

    def __enter__(self) -> Self:
        """Take the signals."""
        self._before = {number: signal.getsignal(number) for number in self.SIGNALS}
        for number in self.SIGNALS:
            signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def waited_for(self, items: Iterable[Item]) -> Iterator[Item]:
        """Items until stopping is asked for; whoever asks need not wait for the next one."""
        source = iter(items)
        while not self.asked:
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

    def _ask(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if again or self._waiting:
            raise KeyboardInterrupt
