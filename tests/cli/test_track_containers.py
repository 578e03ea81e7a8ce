"""`siamcorr track` on the videos of telephones and recorders: all frames, each at its true time."""

import pytest
from cli.conftest import frame_numbers, rows, run
from video_files import CHANGING, COUNT, EVEN, FILES, write

from siamcorr.media import open_source

KINDS = ["av1 10-bit, changing", "hevc 10-bit", "vp9, changing", "h264, changing"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_has_its_row_and_its_time(kind, random_weights, tmp_path):
    name, encoder, layout, times, options = FILES[kind]
    path = write(tmp_path / name, encoder, layout, times, options)
    assert _tracked(path, random_weights, tmp_path) == [f"{time / 1000:.4f}" for time in times]


@pytest.mark.parametrize("turned", [90, 180])
def test_a_turned_video_is_tracked_upright(turned, random_weights, tmp_path):
    path = write(tmp_path / "turned.mp4", "libx264", turned=turned)
    times = _tracked(path, random_weights, tmp_path)
    assert times == [f"{time / 1000:.4f}" for time in EVEN]
    shape = (120, 160, 3) if turned == 180 else (160, 120, 3)
    assert {frame.image.shape for frame in open_source(tmp_path / "out.mp4")} == {shape}


def test_a_start_by_its_number(random_weights, tmp_path):
    path = write(tmp_path / "clip.mp4", *FILES["h264, changing"][1:])
    table = tmp_path / "late.csv"
    given = ["--box", "60,40,40,28", "--weights", random_weights, "--no-show", "--boxes", table]
    assert run(path, *given, "--start", 41) == 0
    assert frame_numbers(table) == list(range(41, COUNT))
    assert [row["time"] for row in rows(table)] == [f"{time / 1000:.4f}" for time in CHANGING[41:]]


def _tracked(path, weights, folder):
    """The times in the table of a whole video, whose rows and written frames are checked."""
    table, video = folder / "out.csv", folder / "out.mp4"
    given = ["--box", "60,40,40,28", "--weights", weights, "--no-show"]
    assert run(path, *given, "--boxes", table, "--output", video) == 0
    assert frame_numbers(table) == list(range(COUNT))
    assert len(list(open_source(video))) == COUNT
    return [row["time"] for row in rows(table)]
