"""Live sources: the newest frame, what is left out counted, and back again after a break."""

import gc
import queue
import shutil
import socket
import subprocess
import threading
import time
from contextlib import closing
from itertools import count, islice
from types import SimpleNamespace

import numpy as np
import pytest

from siamcorr.media import SourceError, captures, live, open_source, sources
from siamcorr.media.live import Patience, ReadingThread, Reconnecting

LONG = 20.0  # seconds until a test that waits in vain gives up
SHORT = Patience(first=0.01, longest=0.02, total=0.05)


def wait_for(condition, what):
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.005)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "siamcorr-source"]


@pytest.fixture(scope="module", autouse=True)
def _no_thread_before():
    gc.collect()  # the iterators that tracebacks of other tests hold


@pytest.fixture(autouse=True)
def _no_thread_left():
    yield
    wait_for(lambda: not threads(), "threads end")


# patience


@pytest.mark.parametrize(
    ("patience", "waits"),
    [
        (Patience(0.5, 4, 15), [0.5, 1, 2, 4, 4, 3.5]),  # the last try as the time runs out
        (Patience(0.5, 0.5, 1.25), [0.5, 0.5, 0.25]),
        (Patience(3, 4, 2), [2]),
    ],
)
def test_waits_double_up_to_a_bound(patience, waits, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: clock.now))
    taken = []
    for wait in patience.waits():
        taken.append(wait)
        clock.now += wait
    assert taken == waits


@pytest.mark.parametrize("values", [(0, 1, 1), (2, 1, 1), (1, 1, 0), (float("nan"), 1, 1)])
def test_patience_out_of_range(values):
    with pytest.raises(ValueError, match="must be 0 < first <= longest, 0 < total, got "):
        Patience(*values)


# connections


class Connected:
    """Gives what it is told to, and then no more; raises what is an error."""

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
    """Gives one connection after another; an error among them is a try that fails."""
    later = list(connections[1:])

    def connect():
        connection = later.pop(0) if later else OSError("gone for good")
        if isinstance(connection, Exception):
            raise connection
        return connection

    return Reconnecting(connections[0], connect, patience, threading.Event())


@pytest.mark.parametrize(
    ("connections", "expected", "reconnects"),
    [
        ([Connected("a", "b")], "ab", 0),
        ([Connected("a"), Connected("b", "c"), Connected("d")], "abcd", 2),
        ([Connected("a"), SourceError("no"), OSError("no"), Connected("b")], "ab", 1),
        ([Connected("a"), Connected(), Connected("b")], "ab", 1),  # one that gives nothing is none
        ([Connected(), Connected("a")], "a", 1),
    ],
)
def test_what_breaks_off_is_connected_anew(connections, expected, reconnects):
    source = reconnecting(*connections, patience=Patience(0.001, 0.001, 0.3))
    items = source.read_all()
    assert [next(items) for _ in expected] == list(expected)
    with pytest.raises(TimeoutError, match=r"^not back within 0\.3 s$"):
        next(items)
    assert source.reconnects == reconnects
    opened = [connection for connection in connections if isinstance(connection, Connected)]
    assert [connection.closed for connection in opened] == [1] * len(opened)


def test_patience_is_fresh_after_each_break(monkeypatch):
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
    thread = ReadingThread(reconnecting(first, broken).read_all(), 9, newest=False)
    with pytest.raises(KeyError, match="mine"):
        list(thread)
    thread.close()
    assert first.closed == 1


def test_close_ends_a_long_wait():
    first = Connected("a")
    source = reconnecting(first, patience=Patience(LONG, LONG, LONG))
    thread = ReadingThread(source.read_all(), 1, newest=True, stop=source._stop)
    items = iter(thread)
    assert next(items) == "a"
    wait_for(lambda: first.closed, "the break is seen")
    thread.close(LONG / 2)
    assert threads() == []
    assert list(items) == []


# the thread


def given(pipe):
    """What is put into a queue, until None."""
    yield from iter(pipe.get, None)


def test_newest_item_is_given_and_the_others_counted():
    pipe = queue.Queue()
    thread = ReadingThread(given(pipe), 1, newest=True)
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
    """Thirty a second come, some eight are taken: in line, the twelfth would be 30 behind."""
    produced, stop = SimpleNamespace(last=-1), threading.Event()

    def camera():
        for number in count():
            if stop.wait(1 / 30):
                return
            produced.last = number
            yield number

    thread = ReadingThread(camera(), 1, newest=True, stop=stop)
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


def test_stored_items_wait_for_room():
    read = []

    def items():
        for number in range(20):
            read.append(number)
            yield number

    thread = ReadingThread(items(), 4, newest=False)
    wait_for(lambda: len(read) == 5, "the room is full and one in hand")
    time.sleep(0.05)
    assert len(read) == 5
    assert list(thread) == list(range(20))
    assert thread.dropped == 0
    thread.close()


def test_error_comes_after_what_was_read_before_it():
    def items():
        yield from "abc"
        raise SourceError("the fourth is broken")

    thread = ReadingThread(items(), 9, newest=False)
    wait_for(lambda: not threads(), "the thread is through")
    iterator = iter(thread)
    assert [next(iterator) for _ in "abc"] == ["a", "b", "c"]
    with pytest.raises(SourceError, match="the fourth is broken"):
        next(iterator)


@pytest.mark.parametrize("newest", [True, False])
def test_close_closes_the_items_also_where_nobody_reads(newest):
    closed = []

    def items():
        try:
            for number in count():
                time.sleep(0.001)
                yield number
        finally:
            closed.append(True)

    thread = ReadingThread(items(), 2, newest=newest)
    wait_for(lambda: len(thread._ready) == 2, "the room is full")
    thread.close()
    assert closed == [True]
    assert list(thread) == []


def test_close_ends_who_waits_for_an_item():
    pipe, ended = queue.Queue(), []
    thread = ReadingThread(given(pipe), 1, newest=True)
    waiting = threading.Thread(target=lambda: ended.append(list(thread)))
    waiting.start()
    thread.close(0.01)  # it is stuck in the queue, as in a call that does not return
    waiting.join(LONG)
    assert ended == [[]]
    assert len(threads()) == 1
    pipe.put(None)


# cameras, with one that stands in for OpenCV's


class Camera:
    """Stands in for cv2.VideoCapture; what comes after the first frame waits for the gate.

    A plan says for each frame whether it can be decoded ("f") or not ("."); without one left,
    nothing opens.
    """

    plans: tuple[str, ...] = ()

    def __init__(self, target):
        self.plan = self.plans[len(self.opened)] if len(self.opened) < len(self.plans) else ""
        self.target, self.grabbed, self.released = target, 0, False
        self.opened.append(self)

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return bool(self.plan)

    def grab(self):
        if self.grabbed:
            assert self.gate.acquire(timeout=LONG)
        self.grabbed += 1
        return self.grabbed <= len(self.plan)

    def retrieve(self):
        blue = np.full((4, 6, 3), (255, 0, 0), np.uint8)  # in OpenCV's order
        return (True, blue) if self.plan[self.grabbed - 1] == "f" else (False, None)

    def get(self, key):
        return -1.0  # what a backend answers that does not know

    def release(self):
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    class Fresh(Camera):
        opened, gate = [], threading.Semaphore(0)

    monkeypatch.setattr(sources.cv2, "VideoCapture", Fresh)
    return Fresh


def test_camera_that_stops_is_an_error(camera):
    camera.plans = ("f.f",)
    source = open_source("0", patience=SHORT)
    assert (source.live, source.fps, source.frame_count) == (True, 30.0, None)
    frames = iter(source)
    first = next(frames)
    camera.gate.release(2)
    second = next(frames)
    assert [first.index, second.index] == [0, 2]  # the broken one keeps its number
    assert 0 <= first.time <= second.time <= source.now()
    assert first.image[0, 0].tolist() == [0, 0, 255]
    camera.gate.release()
    with pytest.raises(SourceError, match=r"^camera 0: stopped after 3 frames, not back within"):
        next(frames)
    source.close()
    assert [capture.target for capture in camera.opened[:2]] == [0, 0]
    assert len(camera.opened) > 2
    assert all(capture.released for capture in camera.opened)


def test_camera_that_comes_back_counts_on(camera):
    camera.plans = ("fff", "", "ff")
    camera.gate.release(1)  # for the frame that is left out
    with closing(open_source("0", start=1, patience=Patience(0.01, 0.01, LONG))) as source:
        frames = iter(source)
        indices = [next(frames).index]
        for _ in range(3):  # at the second it breaks off, and comes back with a frame in hand
            camera.gate.release()
            indices.append(next(frames).index)
        assert indices == [1, 2, 3, 4]
        assert (source.dropped, source.reconnects) == (0, 1)
        assert [capture.released for capture in camera.opened] == [True, True, False]
        camera.plans = ("fff", "", "ff", "ffff")
        camera.gate.release(3)  # breaks off again, and two frames come after the first
        wait_for(lambda: source.dropped == 2, "two frames are left out")
        assert next(frames).index == 7
        assert source.reconnects == 2
        camera.gate.release(2)  # breaks off for good
    assert all(capture.released for capture in camera.opened)


def test_camera_that_gives_only_broken_frames_has_broken_off(camera, monkeypatch):
    monkeypatch.setattr(captures, "BROKEN", 5)
    camera.plans = ("f" + 20 * ".",)
    camera.gate.release(20)
    source = open_source("0", patience=SHORT)
    frames = iter(source)
    assert next(frames).index == 0
    with pytest.raises(SourceError, match="stopped after 6 frames"):
        next(frames)
    source.close()


def test_close_leaves_a_stuck_call_behind(camera, monkeypatch):
    """It returns, and the camera is released once the call does."""
    monkeypatch.setattr(sources, "CLOSING", 0.01)
    camera.plans = ("ff",)
    source = open_source("0")
    assert next(iter(source)).index == 0
    source.close()
    assert len(threads()) == 1
    assert not camera.opened[0].released
    camera.gate.release()
    wait_for(lambda: camera.opened[0].released, "the camera is released")


def test_close_of_a_source_that_waits_to_reconnect(camera, monkeypatch):
    monkeypatch.setattr(sources, "CLOSING", LONG / 2)
    camera.plans = ("f",)
    source = open_source("0", patience=Patience(LONG, LONG, LONG))
    camera.gate.release()
    wait_for(lambda: camera.opened[0].released, "the break is seen")
    source.close()
    assert threads() == []


# a stream


@pytest.fixture
def server():
    """Serves an endless stream to one at a time, from `start` to `kill`."""
    program = shutil.which("ffmpeg")
    if program is None:
        program = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    picture = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-c:v", "mpeg1video"]
    command = [program, "-v", "quiet", "-nostdin", "-re", *picture, "-g", "5", "-f", "mpegts"]
    running = []

    def start():
        running.append(subprocess.Popen([*command, f"{address}?listen=1"]))

    def kill():
        running[-1].kill()
        running[-1].wait()

    yield SimpleNamespace(address=address, start=start, kill=kill)
    for process in running:
        process.kill()
        process.wait()


def opened(server, patience):
    """The stream, as soon as its server listens."""
    deadline = time.monotonic() + LONG
    server.start()
    while True:
        try:
            return open_source(server.address, patience=patience)
        except SourceError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_stream_goes_on_after_a_break(server, monkeypatch):
    monkeypatch.setattr(sources, "CLOSING", LONG)
    source = opened(server, Patience(0.1, 0.5, LONG))
    assert (source.live, source.frame_count, source.reconnects) == (True, None, 0)
    frames = iter(source)
    taken = list(islice(frames, 8))
    server.kill()
    server.start()
    while not source.reconnects:
        taken.append(next(frames))
    taken += islice(frames, 8)
    source.close()
    assert threads() == []
    assert source.reconnects == 1
    indices = [frame.index for frame in taken]
    assert (np.diff(indices) > 0).all()
    assert indices[-1] + 1 - len(taken) <= source.dropped
    assert (np.diff([frame.time for frame in taken]) >= 0).all()
    assert {frame.image.shape for frame in taken} == {(120, 160, 3)}
    assert list(frames) == []


def test_stream_that_never_comes_back_is_an_error(server):
    with closing(opened(server, Patience(0.1, 0.2, 1.0))) as source:
        frames = iter(source)
        assert len(list(islice(frames, 3))) == 3
        server.kill()
        killed = time.monotonic()
        with pytest.raises(SourceError, match=r"stopped after \d+ frames, not back within 1 s$"):
            list(frames)
        assert time.monotonic() - killed >= 1.0
        assert source.reconnects == 0
