"""Videos: written frames can be read again, also after an error."""

import errno
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from siamcorr.media import VideoSink, open_source
from siamcorr.media.sinks import video_sink

RED, GREY = (220, 20, 20), (128, 128, 128)


def plain(color, height=48, width=64):
    return np.full((height, width, 3), color, np.uint8)


def read(path: Path) -> list:
    return [frame.image for frame in open_source(path)]


@pytest.mark.parametrize("suffix", video_sink.CODECS)
def test_video_reopens(tmp_path, suffix):
    path = tmp_path / f"out{suffix.upper()}"
    with VideoSink(path, fps=24) as video:
        for color in (RED, GREY, RED):
            video.write(plain(color))
    assert video.frames == 3
    source = open_source(path)
    assert source.fps == pytest.approx(24)
    images = read(path)
    assert [image.shape for image in images] == [(48, 64, 3)] * 3
    for image, color in zip(images, (RED, GREY, RED), strict=True):  # red stays red, not blue
        assert np.abs(image.mean(axis=(0, 1)) - color).max() < 12


def test_video_without_frames_is_removed(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoSink(path, fps=30):
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize("name", ["18:30.mp4", "./18:30.mp4", "file:y.mp4"])
def test_special_names_are_written_as_files(name, tmp_path, monkeypatch):
    """file:y.mp4 must not be written to y.mp4, which may be the source."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "y.mp4").write_bytes(b"somebody's")
    with VideoSink(name, fps=30) as video:
        video.write(plain(RED))
    assert len(read(tmp_path / name)) == 1
    assert (tmp_path / "y.mp4").read_bytes() == b"somebody's"
    assert len(list(tmp_path.iterdir())) == 2


def test_video_that_cannot_be_opened_leaves_nothing(tmp_path, monkeypatch):
    """MPEG-4 Part 2 has no frames of a single pixel."""
    monkeypatch.setattr(video_sink, "can_write_h264", lambda: False)
    path = tmp_path / "out.mp4"
    video = VideoSink(path, fps=30)
    with pytest.raises(OSError, match=r"out\.mp4: this OpenCV cannot write such a video"):
        video.write(plain(RED, height=1, width=1))
    video.close()
    assert list(tmp_path.iterdir()) == []


def write_and_raise(path):
    with VideoSink(path, fps=30) as video:
        video.write(plain(RED))
        raise KeyError("mine")


def test_video_keeps_its_frames_when_the_block_raises(tmp_path):
    path = tmp_path / "out.mp4"
    with pytest.raises(KeyError, match="mine"):
        write_and_raise(path)
    assert len(read(path)) == 1


@pytest.mark.parametrize("name", ["out.gif", "out", "out.csv"])
def test_video_of_unknown_suffix(tmp_path, name):
    with pytest.raises(ValueError, match=r"unknown video suffix, known are \.mp4"):
        VideoSink(tmp_path / name, fps=30)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone/out\.mp4"):
        VideoSink(tmp_path / "gone" / "out.mp4", fps=30)


def test_frame_of_another_size_is_refused(tmp_path):
    """OpenCV's writer would skip it silently."""
    path = tmp_path / "out.mp4"
    with VideoSink(path, fps=30) as video:
        video.write(plain(RED))
        with pytest.raises(ValueError, match=r"frame is \(24, 64, 3\), the first was \(48, 64, 3"):
            video.write(plain(RED, height=24))
        video.write(plain(RED))
    assert len(read(path)) == video.frames == 2


def test_full_disk_keeps_the_video_so_far(tmp_path, monkeypatch):
    path = tmp_path / "out.mp4"
    with VideoSink(path, fps=30) as video:
        for _ in range(4):
            video.write(plain(RED))
        nearly_full = SimpleNamespace(free=video_sink.RESERVE)
        monkeypatch.setattr(video_sink.shutil, "disk_usage", lambda folder: nearly_full)
        with pytest.raises(OSError, match="no space left") as caught:
            video.write(plain(RED))
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert len(read(path)) == 4


def test_video_that_cannot_be_finished_is_an_error(tmp_path):
    """The file is checked after closing, since OpenCV's writer reports no errors."""
    path = tmp_path / "out.mp4"
    video = VideoSink(path, fps=30)
    video.write(plain(RED))
    video._writer.release()
    path.write_bytes(b"what a full disk leaves")
    with pytest.raises(OSError, match="could not be finished"):
        video.close()


def spoil_and_raise(path):
    with VideoSink(path, fps=30) as video:
        video.write(plain(RED))
        video._writer.release()
        path.write_bytes(b"what a full disk leaves")
        raise KeyError("mine")


def test_error_of_closing_does_not_hide_an_earlier_one(tmp_path):
    with pytest.raises(KeyError, match="mine"):
        spoil_and_raise(tmp_path / "out.mp4")
