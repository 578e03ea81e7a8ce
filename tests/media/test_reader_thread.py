"""The reader thread: the newest item of a live source, all items of a stored one."""

import queue
import threading
import time
from itertools import count, islice
from types import SimpleNamespace

import pytest
from waiting import LONG, threads, wait_for

from siamcorr.media import SourceError
from siamcorr.media.sources.reader_thread import ReaderThread


def given(pipe):
    """The items of a queue, until None."""
    yield from iter(pipe.get, None)


def test_gives_the_newest_item_and_counts_dropped_ones():
    pipe = queue.Queue()
    thread = ReaderThread(given(pipe), 1, newest=True)
    items = iter(thread)
    taken = []
    for first, last in ((0, 1), (1, 6), (6, 7), (7, 10)):
        for number in range(first, last):
            pipe.put(number)
        wait_for(lambda last=last: thread.dropped + len(taken) + 1 == last, "all are read")
        taken.append(next(items))
    assert taken == [0, 5, 6, 9]
    assert thread.dropped == 6
    pipe.put(None)
    assert list(items) == []


def test_delay_does_not_grow_behind_a_slow_consumer():
    """30 items/s arrive, about 8 are taken: without a thread, the 12th would be 30 behind."""
    produced, stop = SimpleNamespace(last=-1), threading.Event()

    def camera():
        for number in count():
            if stop.wait(1 / 30):
                return
            produced.last = number
            yield number

    thread = ReaderThread(camera(), 1, newest=True, stop=stop)
    taken, behind = [], []
    for number in islice(thread, 12):
        behind.append(produced.last - number)
        taken.append(number)
        time.sleep(0.12)
    dropped = thread.dropped
    thread.close()
    assert max(behind[-6:]) < 10
    assert sorted(behind)[6] <= 1
    assert taken[-1] - taken[0] > 24
    assert 0 <= dropped + len(taken) - (taken[-1] + 1) <= produced.last - taken[-1]


def test_stored_items_wait_for_room_in_the_queue():
    read = []

    def items():
        for number in range(20):
            read.append(number)
            yield number

    thread = ReaderThread(items(), 4, newest=False)
    wait_for(lambda: len(read) == 5, "the room is full and one in hand")
    time.sleep(0.05)
    assert len(read) == 5
    assert list(thread) == list(range(20))
    assert thread.dropped == 0
    thread.close()


def test_error_comes_after_earlier_items():
    def items():
        yield from "abc"
        raise SourceError("the fourth is broken")

    thread = ReaderThread(items(), 9, newest=False)
    wait_for(lambda: not threads(), "the thread is through")
    iterator = iter(thread)
    assert [next(iterator) for _ in "abc"] == ["a", "b", "c"]
    with pytest.raises(SourceError, match="the fourth is broken"):
        next(iterator)


@pytest.mark.parametrize("newest", [True, False])
def test_close_closes_the_items_without_a_reader(newest):
    closed = []

    def items():
        try:
            for number in count():
                time.sleep(0.001)
                yield number
        finally:
            closed.append(True)

    thread = ReaderThread(items(), 2, newest=newest)
    wait_for(lambda: len(thread._ready) == 2, "the room is full")
    thread.close()
    assert closed == [True]
    assert list(thread) == []


def test_close_ends_a_waiting_reader():
    pipe, ended = queue.Queue(), []
    thread = ReaderThread(given(pipe), 1, newest=True)
    waiting = threading.Thread(target=lambda: ended.append(list(thread)))
    waiting.start()
    thread.close(0.01)  # the thread is blocked in the queue
    waiting.join(LONG)
    assert ended == [[]]
    assert len(threads()) == 1
    pipe.put(None)
