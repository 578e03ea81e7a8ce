"""Video files with PyAV: codecs, colours, rotation, exact times and starts, and errors."""

import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from video_files import CLIP, COUNT, FILES, av, write

from siamcorr.media import SourceError, open_source
from siamcorr.media.sources import av_container, opencv_capture, opening
from siamcorr.media.sources.av_video import DecodedVideo
from siamcorr.media.sources.files import VideoFile

SOUGHT = {"av1", "av1 10-bit, changing", "hevc 10-bit", "vp9, changing", "h264, changing", "mjpeg"}
ROUGH = 12  # allowed mean error of a lossy image, in grey levels


@pytest.fixture(params=FILES)
def video(request, tmp_path):
    name, encoder, layout, times, options = FILES[request.param]
    path = write(tmp_path / name, encoder, layout, times, options)
    return SimpleNamespace(path=path, times=times, sought=request.param in SOUGHT)


def off(image, expected):
    return np.abs(image.astype(int) - expected).mean()


def test_every_frame_at_its_time(video):
    source = open_source(video.path)
    assert isinstance(source, DecodedVideo)
    assert source.frame_count == COUNT
    frames = list(source)
    source.close()
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert [round(frame.time * 1000) for frame in frames] == video.times
    for frame, image in zip(frames, CLIP, strict=True):
        assert frame.image.dtype == np.uint8
        assert off(frame.image, image) < ROUGH


def test_start_equals_decoding_from_the_first_frame(video):
    everything = list(open_source(video.path))
    for start in (1, 33, 40, 41, 59):
        source = open_source(video.path, start)
        assert source.frame_count == COUNT - start
        for frame, same in zip(source, everything[start:], strict=True):
            assert (frame.index, frame.time) == (same.index, same.time)
            np.testing.assert_array_equal(frame.image, same.image)
    with pytest.raises(SourceError, match=f"has no frame {COUNT}$"):
        open_source(video.path, COUNT)


def test_far_starts_seek(video):
    """A far start seeks; if the seek cannot be verified, all frames are decoded."""
    container = av_container.Container(video.path, "clip")
    found = av_container._seek_to(container, 50)
    container.close()
    assert found is not None or not video.sought


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_rotation(turned, tmp_path):
    upright = [frame.image for frame in open_source(write(tmp_path / "0.mp4", "libx264"))]
    path = write(tmp_path / "turned.mp4", "libx264", turned=turned)
    capture = cv2.VideoCapture(str(path))
    by_opencv = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    capture.release()
    frames = list(open_source(path))
    assert len(frames) == COUNT
    assert frames[0].image.shape == ((120, 160, 3) if turned == 180 else (160, 120, 3))
    assert off(frames[0].image, by_opencv) < 1  # OpenCV rotates, too
    for frame, image in zip(frames, upright, strict=True):
        assert off(frame.image, np.rot90(image, turned // 90)) < 3  # two runs of x264 differ a bit


def test_colours_are_those_of_opencv(tmp_path):
    """PyAV and OpenCV give the same pixels, so tuned trackers keep their scores."""
    path = write(tmp_path / "clip.mp4", "libx264")
    by_opencv = VideoFile("clip", opencv_capture.open_capture(path, "clip"))
    for frame, same in zip(open_source(path), by_opencv, strict=True):
        np.testing.assert_array_equal(frame.image, same.image)
        assert frame.time == pytest.approx(same.time)


def test_broken_packets_leave_the_others_their_numbers(tmp_path):
    path = write(tmp_path / "clip.avi", "mjpeg", "yuvj420p")
    whole = list(open_source(path))
    content = bytearray(path.read_bytes())
    starts = [found.start() for found in re.finditer(b"\xff\xd8\xff", content)]
    assert len(starts) == COUNT
    content[starts[7] : starts[8] - 8] = bytes(starts[8] - 8 - starts[7])
    path.write_bytes(content)
    frames = list(open_source(path))
    assert [frame.index for frame in frames] == [n for n in range(COUNT) if n != 7]
    for frame in frames:
        np.testing.assert_array_equal(frame.image, whole[frame.index].image)


def test_audio_only(tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=44100)
        sound = np.zeros((1, 4096), np.float32)
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(SourceError, match=r"song\.m4a: not a video, it holds audio only"):
        open_source(path)


def test_playlist_opens_no_other_file(tmp_path):
    """Security: a foreign file must not open other files, neither with PyAV nor with OpenCV."""
    write(tmp_path / "clip.ts", "libx264")
    playlist = tmp_path / "list.mp4"
    playlist.write_text("ffconcat version 1.0\nfile clip.ts\n")
    with pytest.raises(SourceError, match="not a video"):
        av_container.Container(playlist, "list.mp4")


@pytest.mark.parametrize("name", [b"\xff\xfe.mp4", "ä:|%d.mp4".encode(), b"a\nb.mp4"])
def test_any_name(name, tmp_path):
    path = tmp_path / name.decode("utf-8", "surrogateescape")
    write(tmp_path / "clip.mp4", "libx264").rename(path)
    assert len(list(open_source(path))) == COUNT


# Without PyAV


@pytest.fixture
def _no_av(monkeypatch):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'av'", name="av")

    monkeypatch.setattr(opening, "DecodedVideo", missing)
    monkeypatch.setattr(opencv_capture, "find_spec", lambda name: None)


@pytest.mark.usefixtures("_no_av")
def test_opencv_reads_without_pyav(tmp_path):
    source = open_source(write(tmp_path / "clip.mp4", "libx264"))
    assert isinstance(source, VideoFile)
    assert len(list(source)) == COUNT


@pytest.mark.usefixtures("_no_av")
def test_error_says_what_to_install(tmp_path):
    path = write(tmp_path / "clip.mp4", "libsvtav1", options={"preset": "12"})
    if cv2.VideoCapture(str(path)).grab():
        pytest.skip("this OpenCV has a decoder of AV1")
    with pytest.raises(SourceError, match="av1: no decoder in this OpenCV; pip install '"):
        open_source(path)
    path.write_text("no video")
    with pytest.raises(SourceError, match=r"not a video that OpenCV reads; others need: pip"):
        open_source(path)


@pytest.mark.usefixtures("_no_av")
def test_opencv_gets_no_name_that_aborts_the_process(tmp_path):
    path = tmp_path / b"\xff.mp4".decode("utf-8", "surrogateescape")
    write(tmp_path / "clip.mp4", "libx264").rename(path)
    with pytest.raises(ValueError, match="OpenCV takes names in UTF-8 only"):
        open_source(path)


def test_a_title_that_is_not_utf8(tmp_path):
    path = tmp_path / "titled.mp4"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "Sj\u00f6"
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 160, 120
        for image in CLIP[:3]:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.count("Sj\u00f6".encode()) == 1
    path.write_bytes(content.replace("Sj\u00f6".encode(), b"Sj\xff\xfe"))
    assert len(list(open_source(path))) == 3
