"""Ctrl-C: the current frame is finished, and waiting ends at once."""

import signal
import subprocess
import time

import numpy as np
import pytest
from cli.conftest import command, environment, frame_numbers, rows

from siamcorr.cli.interrupts import StopRequest
from siamcorr.media import VideoSink, open_source


def test_ctrl_c_keeps_video_and_table_in_step(random_weights, tmp_path):
    source, table, video = (tmp_path / name for name in ("in.avi", "out.csv", "out.mp4"))
    with VideoSink(source, fps=30) as sink:
        for _ in range(400):
            sink.write(np.full((48, 64, 3), 128, np.uint8))
    arguments = command(source, "--box", "20,10,20,20", "--weights", random_weights)
    with subprocess.Popen(
        [*arguments, "--boxes", str(table), "--output", str(video)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        deadline = time.monotonic() + 120
        while not (table.exists() and table.read_text().count("\n") > 3):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    count = len(rows(table))
    assert 3 <= count < 400
    assert [frame.index for frame in open_source(video)] == frame_numbers(table)


def test_first_signal_requests_and_second_interrupts():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest() as request:
        assert not request.requested
        signal.raise_signal(signal.SIGTERM)
        assert request.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_request_ends_the_wait_for_the_source():
    def source():
        yield 1
        signal.raise_signal(signal.SIGINT)  # nothing comes
        yield 2

    with StopRequest() as request:
        assert list(request.until_requested(source())) == [1]
        assert request.requested


def test_a_request_lets_the_current_frame_finish():
    with StopRequest() as request:
        done = []
        for item in request.until_requested([1, 2, 3]):
            if item == 2:
                signal.raise_signal(signal.SIGINT)
            done.append(item)
        assert done == [1, 2]
