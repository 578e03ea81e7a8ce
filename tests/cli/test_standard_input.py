"""`-` as SOURCE: a video through a pipe; named pipes are refused, and nothing hangs."""

import os
import subprocess

import pytest
from cli.conftest import BOX, command, environment, frame_numbers, rows, run, said

from siamcorr.media import SourceError, open_source


def track(content, *arguments, folder):
    return subprocess.run(
        command("-", "--box", BOX, *arguments),
        input=content,
        capture_output=True,
        env=environment() | {"TMPDIR": str(folder)},
        timeout=120,
        check=False,
    )


def test_a_video_from_standard_input(clip, random_weights, tmp_path, capsys):
    """The same table as of the file; nothing is left among the temporary files."""
    given = ["--weights", random_weights, "--no-show", "--no-recover"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    piped = ["--boxes", tmp_path / "piped.csv"]
    done = track(clip.read_bytes(), *given, *piped, folder=temporary)
    assert (done.returncode, said(done.stderr.decode())) == (0, [])
    assert list(temporary.iterdir()) == []
    assert run(clip, "--box", BOX, *given, "--boxes", tmp_path / "file.csv") == 0
    assert frame_numbers(tmp_path / "piped.csv") == list(range(6))
    assert rows(tmp_path / "piped.csv") == rows(tmp_path / "file.csv")


@pytest.mark.parametrize(
    ("content", "text"), [(b"", "standard input: is empty"), (b"x" * 5000, "standard input: not a")]
)
def test_input_that_is_no_video(content, text, random_weights, tmp_path):
    done = track(content, "--weights", random_weights, "--no-show", folder=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"siamcorr: {text}")
    assert [path for path in tmp_path.iterdir() if path.suffix == ".video"] == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_at_once(tmp_path):
    """Nobody ever writes to it."""
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SourceError, match=r"pipe\.mp4: is a pipe; send it into standard input"):
        open_source(tmp_path / "pipe.mp4")
