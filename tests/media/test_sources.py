"""Sources: frames, their order, colours and times, and errors."""

import re
import socket
import struct
import zlib
from itertools import islice

import cv2
import numpy as np
import pytest
from waiting import threads, wait_for

from siamcorr.data import ClipConfig, render_clip
from siamcorr.media import SourceError, open_source
from siamcorr.media.sources import files

FPS, COUNT = 25, 12


def levels(frames):
    """The mean of each frame, which identifies a test's plain frames."""
    return [round(float(frame.image.mean())) for frame in frames]


@pytest.fixture(scope="module")
def clip():
    return [image for image, _ in render_clip(ClipConfig(COUNT, 160, 120, target=40))]


def write_video(path, clip, codec):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, (160, 120))
    for image in clip:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture(params=[("MJPG", ".avi"), ("mp4v", ".mp4")], ids=["avi", "mp4"])
def video(request, tmp_path, clip):
    codec, suffix = request.param
    return write_video(tmp_path / f"clip{suffix}", clip, codec)


# image folders


def test_folder_comes_in_natural_order(tmp_path):
    for number in (10, 1, 2, 100):
        cv2.imwrite(str(tmp_path / f"img{number}.png"), np.full((4, 6), number, np.uint8))
    (tmp_path / "groundtruth.txt").write_text("not an image, and not taken for one")
    source = open_source(tmp_path)
    assert (source.frame_count, source.live) == (4, False)
    frames = list(source)
    assert levels(frames) == [1, 2, 10, 100]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [frame.time for frame in frames] == [0, 1 / 30, 2 / 30, 3 / 30]


def test_folder_start_skips_and_keeps_numbers(tmp_path):
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((4, 6), number, np.uint8))
    source = open_source(tmp_path, start=3)
    assert source.frame_count == 2
    assert [(frame.index, frame.image.max()) for frame in source] == [(3, 3), (4, 4)]
    with pytest.raises(SourceError, match="5 images, none at index 5"):
        open_source(tmp_path, start=5)
    with pytest.raises(SourceError, match="start must be >= 0, got -1"):
        open_source(tmp_path, start=-1)


@pytest.mark.parametrize(
    ("bgr", "dtype", "rgb"),
    [
        ([77], np.uint8, [77, 77, 77]),
        ([40000], np.uint16, [156, 156, 156]),  # 40000 / 256
        ([0, 0, 255], np.uint8, [255, 0, 0]),  # red, so swapped channels cannot pass
        ([200, 100, 50, 0], np.uint8, [50, 100, 200]),  # fully transparent: alpha is ignored
        ([0, 30000, 65535, 65535], np.uint16, [255, 117, 0]),
    ],
    ids=["grey", "grey16", "red", "alpha", "alpha16"],
)
def test_any_png_comes_as_rgb_bytes(tmp_path, bgr, dtype, rgb):
    image = np.full((5, 7, len(bgr)), bgr, dtype)
    assert cv2.imwrite(str(tmp_path / "ä.png"), image)
    (frame,) = open_source(tmp_path)
    assert frame.image.dtype == np.uint8
    assert frame.image.shape == (5, 7, 3)
    np.testing.assert_array_equal(frame.image, np.broadcast_to(np.uint8(rgb), (5, 7, 3)))


def huge_png() -> bytes:
    """A PNG whose header claims more pixels than OpenCV agrees to read."""
    content = cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes()
    header = b"IHDR" + struct.pack(">II", 200_000, 200_000) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


@pytest.mark.parametrize("content", [b"", b"no image", huge_png()], ids=["empty", "text", "huge"])
def test_unreadable_image_is_named(tmp_path, content):
    for number in (0, 1, 2, 4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((4, 6), np.uint8))
    (tmp_path / "3.png").write_bytes(content)
    frames = iter(open_source(tmp_path))
    assert [frame.index for frame in islice(frames, 3)] == [0, 1, 2]
    with pytest.raises(SourceError, match=r"3\.png: not a readable image"):
        next(frames)


def test_empty_folder(tmp_path):
    with pytest.raises(SourceError, match="0 images"):
        open_source(tmp_path)


# videos


def test_video_gives_all_frames_with_their_times(video, clip):
    source = open_source(video)
    assert (source.fps, source.frame_count, source.live) == (FPS, COUNT, False)
    frames = list(source)
    source.close()
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert [frame.time for frame in frames] == pytest.approx([i / FPS for i in range(COUNT)])
    for frame, image in zip(frames, clip, strict=True):  # lossy, but RGB and in order
        assert np.abs(frame.image.astype(int) - image).mean() < 6


def test_video_start_skips_exactly(video):
    everything = list(open_source(video))
    for start in (1, 7, COUNT - 1):
        source = open_source(video, start)
        assert source.frame_count == COUNT - start
        for frame, same in zip(source, everything[start:], strict=True):
            assert (frame.index, frame.time) == (same.index, same.time)
            np.testing.assert_array_equal(frame.image, same.image)


def test_video_start_beyond_the_end(video):
    with pytest.raises(SourceError, match=f"has no frame {COUNT}"):
        open_source(video, start=COUNT)


def test_truncated_avi_gives_the_frames_it_has(tmp_path, clip):
    path = tmp_path / "cut.avi"
    write_video(path, clip, "MJPG")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    source = open_source(path)
    frames = list(source)
    assert COUNT // 3 < len(frames) < COUNT
    assert source.frame_count == COUNT  # of the header; `siamcorr track` reports the difference
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_not_a_video(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("no video at all")
    with pytest.raises(SourceError, match=r"notes\.mp4: not a video"):
        open_source(path)
    with pytest.raises(SourceError, match=r"gone\.mp4: no such file or folder"):
        open_source(tmp_path / "gone.mp4")


@pytest.mark.parametrize(
    "name", ["2026-11-23T18:30:00", "file:clip", "pipe:1", "concat:a|b", "%03d"]
)
def test_special_names_are_read_as_files(name, video, tmp_path, monkeypatch):
    """file:clip.avi is a file name, not another name of clip.avi."""
    path = video.rename(tmp_path / (name + video.suffix))
    (tmp_path / f"clip{video.suffix}").write_text("no video")
    monkeypatch.chdir(tmp_path)
    for given in (path.name, f"./{path.name}"):
        source = open_source(given)
        assert (source.name, source.live, len(list(source))) == (given, False, COUNT)
    path.write_text("no video")
    with pytest.raises(SourceError, match=f"^{re.escape(path.name)}: not a video$"):
        open_source(path.name)


def test_url_of_a_file_is_read_as_one(video):
    source = open_source(video.as_uri(), start=2)
    assert (source.live, source.frame_count) == (False, COUNT - 2)
    assert [frame.index for frame in source] == list(range(2, COUNT))
    source.close()


# reading ahead


@pytest.fixture(params=["video", "folder"])
def path(request, tmp_path, clip):
    if request.param == "video":
        return write_video(tmp_path / "clip.avi", clip, "MJPG")
    for number, image in enumerate(clip):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    return tmp_path


def test_reading_ahead_changes_nothing(path):
    ahead, plain = open_source(path, 1), open_source(path, 1)
    for frame, same in zip(ahead, plain.frames(), strict=True):
        assert (frame.index, frame.time) == (same.index, same.time)
        np.testing.assert_array_equal(frame.image, same.image)
    assert (ahead.dropped, ahead.reconnects) == (0, 0)
    assert threads() == []


def test_thread_reads_from_the_second_frame_on(path):
    """A caller that takes one frame must not wait for the decoding of others."""
    source = open_source(path)
    frames = iter(source)
    assert next(frames).index == 0
    assert threads() == []
    assert next(frames).index == 1
    assert len(threads()) == 1
    wait_for(lambda: len(source._reader._ready) == files.AHEAD, "it has read ahead")
    source.close()
    assert threads() == []
    assert list(frames) == []


def test_thread_ends_when_the_reader_is_gone(path):
    assert [frame.index for frame in islice(open_source(path), 2)] == [0, 1]
    assert threads() == []


# cameras and streams, see test_live.py


@pytest.mark.parametrize("index", ["97", "99999999999999999999"])  # the second does not fit a C int
def test_camera_that_does_not_exist(index):
    with pytest.raises(SourceError, match=f"camera {index}: cannot be opened"):
        open_source(index)


def test_stream_that_nobody_serves():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/live.mjpg"
        with pytest.raises(SourceError, match=r"live\.mjpg: cannot be opened"):
            open_source(url)
