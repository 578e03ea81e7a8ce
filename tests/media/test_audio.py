"""Audio of the source in the video made from its frames; no audio if that fails."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from siamcorr.media import VideoSink, open_source
from siamcorr.media.sinks import audio

FPS, COUNT = 25, 50  # of the videos: 2 seconds
TONE, ONSET, LENGTH = 440, 1.0, 3.0  # of the sources: one silent second, then a tone

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
needs_shell = pytest.mark.skipif(os.name != "posix", reason="stand-ins for ffmpeg are scripts")


def ffmpeg(*arguments):
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *(str(value) for value in arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


@pytest.fixture(scope="module")
def make_source(tmp_path_factory):
    """Videos of LENGTH seconds with a single key frame; each is made once."""
    folder, made = tmp_path_factory.mktemp("sources"), {}

    def make(name, *codec, length=LENGTH):
        if name not in made:
            made[name] = folder / name
            picture = f"testsrc=size=64x48:rate={FPS}:duration={LENGTH}"
            wave = f"sin({TONE}*2*PI*t)*gte(t,{ONSET})"
            sound = f"aevalsrc='{wave}':sample_rate=44100:duration={length}"
            inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
            options = codec or ("-an",)
            ffmpeg(*inputs, "-c:v", "mpeg4", "-g", 500, *options, made[name])
        return made[name]

    return make


@pytest.fixture
def source(make_source):
    return make_source("aac.mp4", "-c:a", "aac")


def pictures():
    """Frames that differ from one to the next."""
    x = np.linspace(0, 255, 64, dtype=np.uint8)
    for number in range(COUNT):
        grey = np.roll(np.tile(x, (48, 1)), number, axis=1)
        yield np.stack((grey, 255 - grey, np.full_like(grey, 4 * number)), axis=2)


def write(path, audio_from=None, start=0.0):
    with VideoSink(path, FPS, audio_from=audio_from, start=start) as video:
        for image in pictures():
            video.write(image)
    return video


def frames(path):
    found = open_source(path)
    assert found.fps == pytest.approx(FPS)
    return np.stack([frame.image for frame in found])


def sound(path):
    """The samples of the only audio stream, 8000 a second."""
    raw = ffmpeg("-i", path, "-map", "0:a", "-ac", 1, "-ar", 8000, "-f", "s16le", "pipe:1")
    return np.frombuffer(raw, "<i2")


def streams(path):
    """ffmpeg's names of the codecs of a file's streams."""
    done = subprocess.run(["ffmpeg", "-i", path], capture_output=True, text=True, check=False)
    return re.findall(r"Stream #.*?(Video|Audio): (\w+)", done.stderr)


def same_as_silent(path):
    """Whether the frames equal those of the video without audio, and no other file is left."""
    silent = path.with_name("silent" + path.suffix)
    write(silent)
    found, expected = frames(path).astype(int), frames(silent)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 3  # two runs of x264 may differ slightly
    assert sorted(path.parent.iterdir()) == sorted((path, silent))
    silent.unlink()
    return True


# sound


@needs_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "start"), [(".mp4", 0.0), *((suffix, 0.6) for suffix in audio.CONTAINERS)]
)
def test_audio_is_in_sync_and_frames_are_unchanged(suffix, start, source, tmp_path):
    path = tmp_path / f"out{suffix}"
    assert write(path, source, start).notice == ""
    assert [kind for kind, _ in streams(path)] == ["Video", "Audio"]
    samples = sound(path).astype(float)
    assert len(samples) / 8000 == pytest.approx(COUNT / FPS, abs=0.06)
    begin = np.argmax(np.abs(samples) > 3000) / 8000
    assert begin == pytest.approx(ONSET - start, abs=0.06)
    spectrum = np.abs(np.fft.rfft(samples[-4000:]))  # half a second: 2 Hz per bin
    assert np.argmax(spectrum) * 2 == pytest.approx(TONE, abs=4)
    assert same_as_silent(path)


@needs_ffmpeg
@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "flac"), (".mov", "aac")])
def test_copied_if_the_container_can_hold_it_else_aac(suffix, codec, make_source, tmp_path):
    path = tmp_path / f"out{suffix}"
    assert write(path, make_source("flac.mkv", "-c:a", "flac")).notice == ""
    assert streams(path)[1] == ("Audio", codec)
    packet = 4608 / 44100  # of FLAC, the longest here; a copy ends at a packet's end
    assert len(sound(path)) / 8000 == pytest.approx(COUNT / FPS, abs=packet)
    assert same_as_silent(path)


@needs_ffmpeg
def test_sound_that_ends_early_does_not_shorten_the_video(make_source, tmp_path):
    path = tmp_path / "out.mp4"
    assert write(path, make_source("short.mp4", "-c:a", "aac", length=1.2)).notice == ""
    assert len(sound(path)) / 8000 == pytest.approx(1.2, abs=0.06)
    assert same_as_silent(path)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["-i.mp4", "a%03d.mp4", "pipe:1.mp4", "é 'x'.mp4"])
def test_special_names_are_read_as_files(name, source, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    shutil.copy(source, tmp_path / "in" / name)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    video = write(tmp_path / "out" / name, name)
    assert (video.notice, len(streams(video.path))) == ("", 2)
    assert list((tmp_path / "out").iterdir()) == [video.path]


@needs_ffmpeg
@needs_shell
def test_link_to_the_video_stays_one(source, tmp_path):
    (tmp_path / "there").mkdir()
    path = tmp_path / "out.mp4"
    path.symlink_to(tmp_path / "there" / "real.mp4")
    assert write(path, source).notice == ""
    assert path.is_symlink()
    assert len(streams(path)) == 2


def write_and_raise(path, source):
    with VideoSink(path, FPS, audio_from=source) as video:
        for image in pictures():
            video.write(image)
        raise KeyboardInterrupt


@needs_ffmpeg
def test_sound_is_kept_when_the_block_raises(source, tmp_path):
    path = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(path, source)
    assert len(streams(path)) == 2
    assert same_as_silent(path)


# no sound, and the reason


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "codec", "start", "reason"),
    [
        ("mute.mp4", (), 0.0, "the source has no sound"),
        ("aac.mp4", ("-c:a", "aac"), 20.0, "the source has no sound in this section"),
    ],
)
def test_source_without_sound(name, codec, start, reason, make_source, tmp_path):
    path = tmp_path / "out.mp4"
    video = write(path, make_source(name, *codec), start)
    assert video.notice == f"{path}: without sound: {reason}"
    assert streams(path) == [("Video", "h264")]
    assert same_as_silent(path)


@needs_ffmpeg
def test_source_that_is_not_a_video(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no video")
    path = tmp_path / "out" / "out.mp4"
    path.parent.mkdir()
    video = write(path, tmp_path / "in" / "notes.txt")
    assert re.search(r"without sound: ffmpeg ended with code \d+: .*notes\.txt", video.notice)
    assert "\n" not in video.notice
    assert same_as_silent(path)


@pytest.mark.parametrize("name", ["0", "gone.mp4", ".", "rtsp://host/live"])
def test_source_that_is_not_a_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "out.mp4"
    assert write(path, name).notice == f"{path}: without sound: {name} is not a file"
    assert same_as_silent(path)


def test_avi_stays_silent(tmp_path):
    path = tmp_path / "out.avi"
    video = write(path, __file__)
    assert video.notice.endswith("sound is kept in .mp4, .m4v, .mov, .mkv, not in .avi")
    assert same_as_silent(path)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "codec", "reason"),
    [
        ("mute.mp4", (), "the source has no sound"),
        ("aac.mp4", ("-c:a", "aac"), "sound is kept in .mp4, .m4v, .mov, .mkv, not in .avi"),
    ],
)
def test_avi_reports_missing_audio(name, codec, reason, make_source, tmp_path):
    path = tmp_path / "out.avi"
    assert write(path, make_source(name, *codec)).notice == f"{path}: without sound: {reason}"
    assert same_as_silent(path)


@needs_shell
def test_avi_without_an_answer_of_ffmpeg(stand_in, tmp_path):
    stand_in("#!/no/such/shell\n")
    path = tmp_path / "out.avi"
    assert "No such file or directory" in write(path, __file__).notice
    assert same_as_silent(path)


def test_no_sound_was_asked_for(tmp_path):
    path = tmp_path / "out.mp4"
    assert write(path).notice == ""
    assert same_as_silent(path)


def test_video_without_frames_is_still_removed(tmp_path):
    with VideoSink(tmp_path / "out.mp4", FPS, audio_from=__file__) as video:
        pass
    assert (video.notice, list(tmp_path.iterdir())) == ("", [])


# ffmpeg


@pytest.fixture
def stand_in(tmp_path_factory, monkeypatch):
    """Replace ffmpeg by a script."""
    folder = tmp_path_factory.mktemp("bin")

    def install(text):
        script = folder / "ffmpeg"
        script.write_text(text)
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return install


# The replacement writes to the file in its last argument, if there is one.
WRITES = '#!/bin/sh\nfor last; do :; done\n[ "$last" = - ] || echo half > "${last#file:}"\n'
BROKEN = [
    ("#!/bin/sh\nexit 1\n", "ffmpeg ended with code 1: no reason given"),
    ("#!/bin/sh\necho boom >&2\necho more >&2\nexit 3\n", "ffmpeg ended with code 3: boom"),
    ("#!/bin/sh\nexit 0\n", "ffmpeg kept 0 of 50 frames"),
    (WRITES + "exit 1\n", "ffmpeg ended with code 1: no reason given"),
    (WRITES + "echo frame=0; echo frame=49\n", "ffmpeg kept 49 of 50 frames"),
    (WRITES + "kill -9 $$\n", "ffmpeg ended with code -9: no reason given"),
    ("#!/no/such/shell\n", "No such file or directory"),
]


@needs_shell
@pytest.mark.parametrize(("script", "reason"), BROKEN)
def test_broken_ffmpeg_leaves_the_video_unchanged(script, reason, stand_in, tmp_path):
    stand_in(script)
    path = tmp_path / "out.mp4"
    video = write(path, __file__)
    assert video.notice.startswith(f"{path}: without sound: ")
    assert reason in video.notice
    assert same_as_silent(path)


# A full disk cuts the file, although the exit code is 0.
CUT = """#!/bin/sh
for last; do :; done
{real} "$@" || exit
file="${{last#file:}}"
case "$file" in *.partial) head -c 9000 "$file" > "$file.cut"; mv "$file.cut" "$file" ;; esac
"""
SAYS = '#!/bin/sh\n{real} "$@" && echo "Error writing trailer: No space left on device" >&2\n'


@needs_ffmpeg
@needs_shell
@pytest.mark.parametrize(
    ("script", "suffix", "reason"),
    [
        (CUT, ".mp4", r"ffmpeg kept \d+ of 50 frames"),
        (CUT, ".mkv", r"ffmpeg kept \d+ of 50 frames"),
        (SAYS, ".mkv", "ffmpeg: Error writing trailer: No space left on device"),
    ],
    ids=["cut", "cut", "says"],
)
def test_half_a_result_does_not_replace_the_video(
    script, suffix, reason, source, stand_in, tmp_path
):
    stand_in(script.format(real=shutil.which("ffmpeg")))
    path = tmp_path / f"out{suffix}"
    assert re.search(f"without sound: {reason}", write(path, source).notice)
    assert same_as_silent(path)


@needs_shell
def test_ffmpeg_that_hangs_is_ended(stand_in, tmp_path, monkeypatch):
    stand_in("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(audio, "TIMEOUT", 0.2 - COUNT / FPS)
    path = tmp_path / "out.mp4"
    notice = f"{path}: without sound: ffmpeg took longer than 0.2 seconds"
    assert write(path, __file__).notice == notice
    assert same_as_silent(path)


def test_no_ffmpeg_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if not installed
    path = tmp_path / "out.mp4"
    assert write(path, __file__).notice == f"{path}: without sound: ffmpeg is not installed"
    assert same_as_silent(path)


def test_ffmpeg_of_a_package_comes_second(tmp_path, monkeypatch):
    package = SimpleNamespace(get_ffmpeg_exe=lambda: "/the/package's/ffmpeg")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", package)
    monkeypatch.setattr(audio.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert audio.find_ffmpeg() == "/usr/bin/ffmpeg"
    monkeypatch.setattr(audio.shutil, "which", lambda name: None)
    assert audio.find_ffmpeg() == "/the/package's/ffmpeg"


@needs_ffmpeg
def test_ffmpeg_of_a_package_does_the_same(source, tmp_path, monkeypatch):
    package = pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "out.mp4"
    with monkeypatch.context() as patch:
        patch.setattr(audio, "find_ffmpeg", package.get_ffmpeg_exe)
        assert write(path, source, 0.6).notice == ""
    samples = sound(path)
    assert len(samples) / 8000 == pytest.approx(COUNT / FPS, abs=0.06)
    assert np.argmax(np.abs(samples) > 3000) / 8000 == pytest.approx(ONSET - 0.6, abs=0.06)
    assert same_as_silent(path)


# errors


@pytest.mark.parametrize("start", [-0.1, float("nan"), float("inf")])
def test_start_is_checked(start, tmp_path):
    with pytest.raises(ValueError, match=r"out\.mp4: start must be a second >= 0, got"):
        VideoSink(tmp_path / "out.mp4", FPS, start=start)
    assert list(tmp_path.iterdir()) == []


def test_audio_from_the_output_file_is_refused(tmp_path):
    path = tmp_path / "out.mp4"
    write(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="audio_from must be another file, not the one to write"):
        VideoSink(path, FPS, audio_from=tmp_path / "." / "out.mp4")
    assert path.read_bytes() == before
    assert cv2.VideoCapture(str(path)).isOpened()
