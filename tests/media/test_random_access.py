"""Frames by number, in any order."""

from functools import partial

import cv2
import numpy as np
import pytest

from siamcorr.media import SourceError, StoredFrames, VideoSink, open_source
from siamcorr.media.frames import Frame
from siamcorr.media.sources import random_access


@pytest.fixture
def video(tmp_path):
    """150 frames, each of a different grey."""
    path = tmp_path / "grey.mp4"
    with VideoSink(path, 25.0, crf=1) as sink:
        for number in range(150):
            sink.write(np.full((48, 64, 3), 20 + number, np.uint8))
    return path


@pytest.mark.parametrize(("start", "every", "most"), [(0, 1, None), (7, 1, None), (3, 4, 20)])
def test_same_as_from_the_start(start, every, most, video):
    expected = [*open_source(video, start)][::every][:most]
    frames = StoredFrames(partial(open_source, video), start, every, most)
    for number in (*range(len(expected)), *reversed(range(len(expected))), 5, 0):
        frame = frames.frame(number)
        assert (frame.index, frame.time) == (expected[number].index, expected[number].time)
        np.testing.assert_array_equal(frames[number], expected[number].image)
    for number in (len(expected), len(expected) + 500, -1):
        with pytest.raises(IndexError):
            frames[number]


def test_each_is_decoded_about_once(video, monkeypatch):
    opened = []
    monkeypatch.setattr(random_access, "RUN", 50)

    def open_at(start):
        opened.append(start)
        return open_source(video, start)

    frames = StoredFrames(open_at)
    for number in (*range(150), *reversed(range(150))):
        frames[number]
    assert opened == [0, 0, 50, 100, 50, 0]


def test_a_large_frame_is_cached_alone(video, monkeypatch):
    monkeypatch.setattr(random_access, "MAX_BYTES", 1)
    frames = StoredFrames(partial(open_source, video))
    assert abs(int(frames[70][0, 0, 0]) - 90) <= 2


def test_undecodable_frame_is_replaced_by_the_previous_one():
    class Holed:
        """Frames 3, 4 and 7 of ten cannot be decoded."""

        def __init__(self, start):
            self.start = start

        def __iter__(self):
            for index in range(self.start, 10):
                if index not in (3, 4, 7):
                    yield Frame(index, 0.0, np.full((2, 2, 3), index, np.uint8))

        def close(self):
            pass

    frames = StoredFrames(Holed)
    assert [frames[number][0, 0, 0] for number in range(10)] == [0, 1, 2, 2, 2, 5, 6, 6, 8, 9]
    every = StoredFrames(Holed, every=3)
    assert [every[number][0, 0, 0] for number in range(4)] == [0, 0, 6, 9]


def test_no_frames(tmp_path):
    (tmp_path / "empty").mkdir()
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((4, 4, 3), np.uint8))
    for start, text in ((0, "0 images"), (1, "1 images, none at index 1")):
        folder = tmp_path if start else tmp_path / "empty"
        with pytest.raises(SourceError, match=text):
            StoredFrames(partial(open_source, folder), start)
    with pytest.raises(SourceError, match="no such file"):
        StoredFrames(partial(open_source, tmp_path / "gone.mp4"))
