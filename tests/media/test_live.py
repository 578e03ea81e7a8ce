"""Live sources: newest frame, count of dropped frames, reconnect after a lost connection."""

import shutil
import socket
import subprocess
import threading
import time
from contextlib import closing
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from waiting import LONG, threads, wait_for

from siamcorr.media import Patience, SourceError, open_source
from siamcorr.media.sources import live, opencv_capture

SHORT = Patience(first=0.01, longest=0.02, total=0.05)


# cameras, with a replacement for OpenCV's


class Camera:
    """Replaces cv2.VideoCapture; frames after the first wait for the gate.

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
        return -1.0  # the answer of a backend that does not know

    def release(self):
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    class Fresh(Camera):
        opened, gate = [], threading.Semaphore(0)

    monkeypatch.setattr(opencv_capture.cv2, "VideoCapture", Fresh)
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
    camera.gate.release(1)  # for the dropped frame
    with closing(open_source("0", start=1, patience=Patience(0.01, 0.01, LONG))) as source:
        frames = iter(source)
        indices = [next(frames).index]
        for _ in range(3):  # at the second, it disconnects, and reconnects with a frame
            camera.gate.release()
            indices.append(next(frames).index)
        assert indices == [1, 2, 3, 4]
        assert (source.dropped, source.reconnects) == (0, 1)
        assert [capture.released for capture in camera.opened] == [True, True, False]
        camera.plans = ("fff", "", "ff", "ffff")
        camera.gate.release(3)  # disconnects again, then gives two more frames
        wait_for(lambda: source.dropped == 2, "two frames are left out")
        assert next(frames).index == 7
        assert source.reconnects == 2
        camera.gate.release(2)  # disconnects for good
    assert all(capture.released for capture in camera.opened)


def test_broken_frames_count_as_a_lost_connection(camera, monkeypatch):
    monkeypatch.setattr(opencv_capture, "BROKEN", 5)
    camera.plans = ("f" + 20 * ".",)
    camera.gate.release(20)
    source = open_source("0", patience=SHORT)
    frames = iter(source)
    assert next(frames).index == 0
    with pytest.raises(SourceError, match="stopped after 6 frames"):
        next(frames)
    source.close()


def test_close_does_not_wait_for_a_blocked_read(camera, monkeypatch):
    """close() returns; the camera is released when the blocked read returns."""
    monkeypatch.setattr(live, "CLOSE_TIMEOUT", 0.01)
    camera.plans = ("ff",)
    source = open_source("0")
    assert next(iter(source)).index == 0
    source.close()
    assert len(threads()) == 1
    assert not camera.opened[0].released
    camera.gate.release()
    wait_for(lambda: camera.opened[0].released, "the camera is released")


def test_close_of_a_source_that_waits_to_reconnect(camera, monkeypatch):
    monkeypatch.setattr(live, "CLOSE_TIMEOUT", LONG / 2)
    camera.plans = ("f",)
    source = open_source("0", patience=Patience(LONG, LONG, LONG))
    camera.gate.release()
    wait_for(lambda: camera.opened[0].released, "the break is seen")
    source.close()
    assert threads() == []


# a stream


@pytest.fixture
def server():
    """Serves an endless stream to one client at a time, from `start` to `kill`."""
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
    """Open the stream when its server listens."""
    deadline = time.monotonic() + LONG
    server.start()
    while True:
        try:
            return open_source(server.address, patience=patience)
        except SourceError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_stream_goes_on_after_a_break(server, monkeypatch):
    monkeypatch.setattr(live, "CLOSE_TIMEOUT", LONG)
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
        killed = time.monotonic()
        server.kill()
        with pytest.raises(SourceError, match=r"stopped after \d+ frames, not back within 1 s$"):
            list(frames)
        assert time.monotonic() - killed >= 1.0
        assert source.reconnects == 0
