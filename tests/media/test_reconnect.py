"""Reconnect after a lost connection: how often, how long, and the final error."""

import threading
from types import SimpleNamespace

import pytest
from waiting import LONG, threads, wait_for

from siamcorr.media import SourceError
from siamcorr.media.sources import reconnect as module
from siamcorr.media.sources.reader_thread import ReaderThread
from siamcorr.media.sources.reconnect import Patience, Reconnector

SHORT = Patience(first=0.01, longest=0.02, total=0.05)


@pytest.mark.parametrize(
    ("patience", "waits"),
    [
        (Patience(0.5, 4, 15), [0.5, 1, 2, 4, 4, 3.5]),  # the last try is at the end of the time
        (Patience(0.5, 0.5, 1.25), [0.5, 0.5, 0.25]),
        (Patience(3, 4, 2), [2]),
    ],
)
def test_waits_double_up_to_a_limit(patience, waits, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    taken = []
    for wait in patience.waits():
        taken.append(wait)
        clock.now += wait
    assert taken == waits


@pytest.mark.parametrize("values", [(0, 1, 1), (2, 1, 1), (1, 1, 0), (float("nan"), 1, 1)])
def test_patience_out_of_range(values):
    with pytest.raises(ValueError, match="must be 0 < first <= longest, 0 < total, got "):
        Patience(*values)


class Connected:
    """Gives the items, then None; raises items that are errors."""

    def __init__(self, *items):
        self.items, self.closed = list(items), 0

    def read(self):
        item = self.items.pop(0) if self.items else None
        if isinstance(item, Exception):
            raise item
        return item

    def close(self):
        self.closed += 1


def reconnecting(*connections, patience=SHORT):
    """Returns one connection after another; an error among them is a failed try."""
    later = list(connections[1:])

    def connect():
        connection = later.pop(0) if later else OSError("gone for good")
        if isinstance(connection, Exception):
            raise connection
        return connection

    return Reconnector(connections[0], connect, patience, threading.Event())


@pytest.mark.parametrize(
    ("connections", "expected", "reconnects"),
    [
        ([Connected("a", "b")], "ab", 0),
        ([Connected("a"), Connected("b", "c"), Connected("d")], "abcd", 2),
        ([Connected("a"), SourceError("no"), OSError("no"), Connected("b")], "ab", 1),
        ([Connected("a"), Connected(), Connected("b")], "ab", 1),  # without an item, the try failed
        ([Connected(), Connected("a")], "a", 1),
    ],
)
def test_reconnects_after_a_lost_connection(connections, expected, reconnects):
    source = reconnecting(*connections, patience=Patience(0.001, 0.001, 0.3))
    items = source.read_all()
    assert [next(items) for _ in expected] == list(expected)
    with pytest.raises(TimeoutError, match=r"^not back within 0\.3 s$"):
        next(items)
    assert source.reconnects == reconnects
    opened = [connection for connection in connections if isinstance(connection, Connected)]
    assert [connection.closed for connection in opened] == [1] * len(opened)


def test_patience_restarts_after_each_break(monkeypatch):
    began = []
    waits = Patience.waits
    monkeypatch.setattr(Patience, "waits", lambda self: began.append(1) or waits(self))
    source = reconnecting(Connected("a"), Connected("b"), Connected("c"))
    with pytest.raises(TimeoutError):
        list(source.read_all())
    assert len(began) == 3


@pytest.mark.parametrize("place", ["reading", "connecting"])
def test_another_error_is_passed_on(place):
    broken = Connected("b", KeyError("mine")) if place == "reading" else KeyError("mine")
    first = Connected("a")
    thread = ReaderThread(reconnecting(first, broken).read_all(), 9, newest=False)
    with pytest.raises(KeyError, match="mine"):
        list(thread)
    thread.close()
    assert first.closed == 1


def test_close_ends_a_long_wait():
    first = Connected("a")
    source = reconnecting(first, patience=Patience(LONG, LONG, LONG))
    thread = ReaderThread(source.read_all(), 1, newest=True, stop=source._stop)
    items = iter(thread)
    assert next(items) == "a"
    wait_for(lambda: first.closed, "the break is seen")
    thread.close(LONG / 2)
    assert threads() == []
    assert list(items) == []
