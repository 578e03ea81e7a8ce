"""Videos that browsers play: H.264, yuv420p, index at the front, frames of any size."""

import errno
import importlib.util
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from siamcorr.media import VideoSink, open_source
from siamcorr.media.sinks import audio, video_sink

av = pytest.importorskip("av")

RED, GREEN = (220, 20, 20), (20, 160, 30)
SUFFIXES = [".mp4", ".m4v", ".mov", ".mkv"]


def write(path, count=5, size=(64, 48), noise=None, **options):
    width, height = size
    rng = np.random.default_rng(0)
    with VideoSink(path, fps=options.pop("fps", 25), **options) as video:
        for number in range(count):
            image = np.full((height, width, 3), (RED, GREEN)[number % 2], np.uint8)
            if noise:
                image = rng.integers(0, 255, image.shape, np.uint8)
            video.write(image)
    return video


def decode(path):
    """The stream's codec, format and rate, and its frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        context = stream.codec_context
        return context.name, context.pix_fmt, stream.average_rate, images


def boxes(path):
    """The names of an MP4's outermost boxes, in order."""
    content, names, place = Path(path).read_bytes(), [], 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 4])
        names.append(content[place + 4 : place + 8].decode())
        assert size >= 8
        place += size
    return names


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_codec_format_and_frames(suffix, tmp_path):
    video = write(tmp_path / f"out{suffix}")
    codec, pixels, rate, images = decode(video.path)
    assert (codec, pixels, rate) == ("h264", "yuv420p", 25)
    assert [image.shape for image in images] == [(48, 64, 3)] * 5
    for image, color in zip(images, (RED, GREEN, RED, GREEN, RED), strict=True):
        assert np.abs(image.mean(axis=(0, 1)) - color).max() < 4
    assert video.fallback == video.notice == ""


@pytest.mark.parametrize("suffix", SUFFIXES[:3])
def test_the_index_is_at_the_front(suffix, tmp_path):
    video = write(tmp_path / f"out{suffix}")
    names = boxes(video.path)
    assert names.index("moov") < names.index("mdat")


@pytest.mark.parametrize("size", [(65, 48), (64, 49), (65, 49), (1, 1), (3, 2)])
def test_odd_sizes_lose_nothing(size, tmp_path):
    """The last column and row are repeated."""
    path = tmp_path / "out.mp4"
    width, height = size
    image = np.full((height, width, 3), RED, np.uint8)
    with VideoSink(path, fps=25) as video:
        video.write(image)
    codec, pixels, _, (shown,) = decode(path)
    assert (codec, pixels) == ("h264", "yuv420p")
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(shown.astype(int) - RED).max() < 12  # black edges would differ more


@pytest.mark.parametrize(
    ("fps", "rate"), [(30000 / 1001, "30000/1001"), (29.97, "2997/100"), (0.5, "1/2"), (240, "240")]
)
def test_rates(fps, rate, tmp_path):
    video = write(tmp_path / "out.mp4", fps=fps)
    assert Fraction(str(decode(video.path)[2])) == Fraction(rate)  # PyAV 19 writes 240/1
    assert open_source(video.path).fps == pytest.approx(fps)


def test_crf_is_quality(tmp_path):
    sizes = []
    for crf in (10, 23, 40):
        write(tmp_path / "out.mp4", noise=True, crf=crf)
        sizes.append((tmp_path / "out.mp4").stat().st_size)
    assert sizes[0] > 1.5 * sizes[1] > 3 * sizes[2]


@pytest.mark.parametrize("crf", [0, 52, -1])
def test_crf_out_of_range(crf, tmp_path):
    with pytest.raises(ValueError, match=rf"crf must lie in 1\.\.51, got {crf}"):
        VideoSink(tmp_path / "out.mp4", fps=25, crf=crf)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(audio.find_ffmpeg() is None, reason="needs ffmpeg")
def test_sound_is_kept_and_the_index_stays_in_front(tmp_path):
    source, picture = tmp_path / "source.mp4", "testsrc=size=64x48:rate=25:duration=1"
    tone = "sine=frequency=440:duration=1"
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-c:a", "aac"]
    call = [audio.find_ffmpeg(), "-v", "error", *inputs, str(source)]
    subprocess.run(call, check=True, timeout=60)
    video = write(tmp_path / "out.mp4", count=20, size=(65, 49), audio_from=source)
    assert video.notice == ""
    codec, pixels, _, images = decode(video.path)
    assert (codec, pixels, len(images)) == ("h264", "yuv420p", 20)
    with av.open(str(video.path)) as container:
        (stream,) = container.streams.audio
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(stream)])
        assert stream.codec_context.name == "aac"
        assert len(samples) / stream.rate == pytest.approx(0.8, abs=0.1)
        assert np.sqrt((samples**2).mean()) > 0.05
    names = boxes(video.path)
    assert names.index("moov") < names.index("mdat")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_disk_that_is_full_at_once(tmp_path):
    path = tmp_path / "out.mp4"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write(path, count=200, size=(160, 120), noise=True)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))


LIMITED = """
import resource, signal, sys
import numpy as np
from siamcorr.media import VideoSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
rng = np.random.default_rng(0)
try:
    with VideoSink(sys.argv[1], fps=25) as video:
        for _ in range(400):
            video.write(rng.integers(0, 255, (120, 160, 3), np.uint8))
except OSError as error:
    print(error.errno, video.frames)
"""


@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="needs limits of files")
def test_a_disk_that_fills_up_ends_in_one_error(tmp_path):
    """With frames left in the encoder, nothing hangs and nothing else is raised."""
    call = [sys.executable, "-c", LIMITED, str(tmp_path / "out.mp4")]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
    code, frames = done.stdout.split()
    assert int(code) == errno.EFBIG
    assert 0 < int(frames) < 400


def test_without_pyav_the_old_codec_and_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(video_sink, "can_write_h264", lambda: False)
    video = write(tmp_path / "out.mp4")
    assert decode(video.path)[0] == "mpeg4"
    assert "out.mp4: MPEG-4 Part 2, which browsers do not play" in video.fallback
    assert "pip install 'siamcorr[video]'" in video.fallback
    assert write(tmp_path / "out.avi").fallback == ""
    assert decode(tmp_path / "out.avi")[0] == "mjpeg"


def test_can_write_h264(monkeypatch):
    assert video_sink.can_write_h264()
    monkeypatch.setitem(sys.modules, "av", None)
    assert not video_sink.can_write_h264()
