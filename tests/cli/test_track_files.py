"""`siamcorr track`: messages about its files, and their formats."""

from pathlib import Path

import pytest
from cli.conftest import BOX, run, said

from siamcorr.media import VideoSink, open_source
from siamcorr.media.sinks import audio, video_sink


def test_video_that_ends_early_is_reported(clip, random_weights, tmp_path, capsys):
    short = tmp_path / "short.avi"
    with VideoSink(short, fps=25) as video:
        for frame in open_source(clip):
            video.write(frame.image)
    short.write_bytes(short.read_bytes()[:-7000])
    assert run(short, "--box", BOX, "--weights", random_weights, "--no-show") == 0
    count = len(list(open_source(short)))
    assert 0 < count < 6
    text = f"siamcorr: {short}: ended after {count} of 6 announced frames"
    assert said(capsys.readouterr().err) == [text]


def test_skipped_frames_are_not_reported(clip, random_weights, tmp_path, capsys):
    """By --every; what the video lacks is counted in frames that were to be tracked."""
    given = ["--box", BOX, "--weights", random_weights, "--no-show", "--every", 2]
    short = tmp_path / "short.avi"
    with VideoSink(short, fps=25) as video:
        for frame in open_source(clip):
            video.write(frame.image)
    assert run(short, *given) == 0
    assert said(capsys.readouterr().err) == []
    short.write_bytes(short.read_bytes()[:-15000])
    assert run(short, *given) == 0
    count = len(list(open_source(short))[::2])
    assert 0 < count < 3
    text = f"siamcorr: {short}: ended after {count} of 3 announced frames"
    assert said(capsys.readouterr().err) == [text]


@pytest.mark.parametrize("name", ["file:clip.mp4", "./18:30.mp4", "18:30.avi"])
def test_colons_in_names(name, clip, random_weights, tmp_path, monkeypatch, capsys):
    """The video is written where it says, and the source stays what it was."""
    source = tmp_path / "clip.mp4"
    source.write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    given = ["--box", BOX, "--weights", random_weights, "--no-show", "--output", name]
    assert run("clip.mp4", *given) == 0
    assert f"6 frames tracked, written to {name}\n" in capsys.readouterr().out
    assert source.read_bytes() == clip.read_bytes()
    assert len(list(open_source(tmp_path / name))) == 6


def test_a_silent_source_in_an_avi_is_no_loss(clip, random_weights, tmp_path, capsys):
    if audio.find_ffmpeg() is None:
        pytest.skip("nobody can look for sound")
    given = ["--box", BOX, "--weights", random_weights, "--no-show"]
    assert run(clip, *given, "--output", tmp_path / "out.avi") == 0
    assert said(capsys.readouterr().err) == []


def test_the_quality_of_the_video(clip, random_weights, tmp_path, capsys):
    given = ["--box", BOX, "--weights", random_weights, "--no-show"]
    sizes = []
    for crf in (5, 45):
        path = tmp_path / f"{crf}.mp4"
        assert run(clip, *given, "--output", path, "--crf", crf) == 0
        sizes.append(path.stat().st_size)
    assert sizes[0] > 2 * sizes[1]
    capsys.readouterr()
    path = tmp_path / "none.mp4"
    assert run(clip, *given, "--output", path, "--crf", 52) == 2
    assert capsys.readouterr().err == "siamcorr: --crf must lie in 1..51, got 52\n"
    assert not path.exists()


def test_a_video_that_browsers_do_not_play_is_reported(
    clip, random_weights, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(video_sink, "can_write_h264", lambda: False)
    given = ["--box", BOX, "--weights", random_weights, "--no-show"]
    path = tmp_path / "out.mp4"
    assert run(clip, *given, "--output", path) == 0
    (line,) = said(capsys.readouterr().err)
    assert line.startswith(f"siamcorr: {path}: MPEG-4 Part 2, which browsers do not play; ")
    assert run(clip, *given, "--output", tmp_path / "out.avi") == 0
    assert said(capsys.readouterr().err) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_one_line(clip, random_weights, tmp_path, capsys):
    path = tmp_path / "out.mp4"
    path.symlink_to("/dev/full")
    given = ["--box", BOX, "--weights", random_weights, "--no-show", "--output", path]
    assert run(clip, *given) == 2
    assert said(capsys.readouterr().err) == [f"siamcorr: {path}: No space left on device"]
