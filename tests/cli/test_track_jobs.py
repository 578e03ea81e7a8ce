"""`siamcorr track --jobs TABLE.csv`: many videos, each tracked completely or not at all."""

import csv
import os
from contextlib import closing
from pathlib import Path

import pytest

from siamcorr.cli import jobs, main
from siamcorr.cli.jobs import Job, read_jobs, run_jobs, share
from siamcorr.data import ClipConfig, render_clip
from siamcorr.media import VideoSink, open_source

CLIP = [*render_clip(ClipConfig(frames=5, width=160, height=120, target=40))]


def mark(frame):
    return ",".join(f"{value:.1f}" for value in CLIP[frame][1])


@pytest.fixture
def folder(tmp_path):
    """Two clips, one of them below a folder, and a file that is no video."""
    (tmp_path / "day").mkdir()
    for name in ("one.mp4", "day/one.mp4"):
        with VideoSink(tmp_path / name, 25.0) as sink:
            for image, _ in CLIP:
                sink.write(image)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    return tmp_path


def write(path, *lines, header="video,frame,x,y,w,h,name"):
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def run(table, *flags):
    return main([str(word) for word in ("track", "--jobs", table, *flags)])


def rows(path):
    return [*csv.DictReader(path.read_text().splitlines())]


def test_many_videos(folder, capsys):
    """A failure does not stop the others; a second run skips finished videos."""
    table = write(
        folder / "jobs.csv",
        f"one.mp4,0,{mark(0)},ball",
        f"broken.mp4,0,{mark(0)},",
        f"day/one.mp4,3,{mark(3)},",
    )
    out, videos = folder / "boxes", folder / "videos"
    flags = "--boxes", out, "--output", videos, "--device", "cpu", "--processes", 2
    assert run(table, *flags) == 2
    out_lines = capsys.readouterr().out.splitlines()
    assert out_lines[0] == "2 tracked, 0 already done, 1 failed"
    assert out_lines[1].startswith(f"siamcorr: {folder / 'broken.mp4'}: ")
    assert "broken.mp4" in out_lines[1].split(": ", 2)[2]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    results = {"boxes/one.csv", "boxes/day/one.csv", "videos/one.mp4", "videos/day/one.mp4"}
    assert files == {"jobs.csv", "one.mp4", "day/one.mp4", "broken.mp4"} | results
    assert [row["frame"] for row in rows(out / "one.csv")] == [*"01234"]
    third = rows(out / "day" / "one.csv")[3]
    assert [float(third[side]) for side in "xywh"] == pytest.approx(CLIP[3][1], abs=0.1)
    with closing(open_source(str(videos / "one.mp4"))) as source:
        assert len([*source]) == 5
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.csv")}
    assert run(table, *flags) == 2
    assert capsys.readouterr().out.startswith("0 tracked, 2 already done, 1 failed\n")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.csv")} == before


def crash(job, outputs, options):
    """A decoder that crashes on one video."""
    if "one" in job.video.name:
        os._exit(11)
    return jobs.Outcome(job, "tracked")


def test_a_crashed_process_fails_its_own_video_only(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "_track", crash)
    listed = [Job(Path(f"{name}.mp4"), (), Path(name)) for name in ("two", "one", "three")]
    outcomes = {each.job.result.name: each for each in run_jobs(listed, {"--boxes": tmp_path}, [])}
    assert {name: each.state for name, each in outcomes.items()} == {
        "two": "tracked",
        "one": "failed",
        "three": "tracked",
    }
    assert outcomes["one"].problem == "its process crashed"


def test_a_table(tmp_path):
    """Marks of one video together; frame and name may be left out, as columns or in a row."""
    table = write(tmp_path / "a.csv", "a.mp4,,1,2,3,4,", "b.mp4,7,1,2,3,4,cup", "a.mp4,9,5,6,7,8,")
    assert read_jobs(table) == [
        Job(tmp_path / "a.mp4", ("1,2,3,4@0", "5,6,7,8@9"), Path("a")),
        Job(tmp_path / "b.mp4", ("1,2,3,4@7:cup",), Path("b")),
    ]
    short = write(tmp_path / "b.csv", "a.mp4,1,2,3,4", header="video,x,y,w,h")
    assert read_jobs(short) == [Job(tmp_path / "a.mp4", ("1,2,3,4@0",), Path("a"))]


@pytest.mark.parametrize(
    ("lines", "header", "text"),
    [
        ([], "video,x,y,w,h", "names no video"),
        (["a.mp4,1"], "video,x", "its columns must be video,frame,x,y,w,h,name"),
        (["a.mp4,1,2,3,4,5"], "video,x,y,w,h,colour", "its columns must be"),
        (["a.mp4,1,2,3"], "video,x,y,w,h", "line 2: its number of fields differs"),
        (["a.mp4,1,2,3,4,5"], "video,x,y,w,h", "line 2: its number of fields differs"),
        ([",1,2,3,4"], "video,x,y,w,h", "line 2: names no video"),
        (["a.mp4,1,2,3,x"], "video,x,y,w,h", "line 2: a mark must be X,Y,W,H@FRAME"),
        (["a.mp4,1,2,3,4,one"], "video,x,y,w,h,frame", "line 2: a mark must be"),
        (["a.mp4,1,2,3,4", "a.avi,1,2,3,4"], "video,x,y,w,h", "have the same name"),
    ],
)
def test_tables_that_are_wrong(lines, header, text, tmp_path, capsys):
    table = write(tmp_path / "jobs.csv", *lines, header=header)
    assert run(table, "--boxes", tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"siamcorr: {table}: ")
    assert text in line
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_too_long_is_refused_and_not_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_ROWS", 2)
    lines = [f"{name}.mp4,1,2,3,4" for name in "abc"]
    with pytest.raises(ValueError, match="has more than 2 rows"):
        read_jobs(write(tmp_path / "a.csv", *lines, header="video,x,y,w,h"))
    assert len(read_jobs(write(tmp_path / "b.csv", *lines[:2], header="video,x,y,w,h"))) == 2


def test_options_that_contradict_a_table(folder, capsys):
    table = write(folder / "jobs.csv", f"one.mp4,0,{mark(0)},")
    for flags, text in [
        ([], "--jobs: give --boxes FOLDER, --output FOLDER or both"),
        (["--boxes", table], "jobs.csv: is not a folder, and --jobs writes to folders"),
        (["--boxes", folder / "x", "--box", "1,2,3,4"], "the table has the marks"),
        (["--boxes", folder / "x", "--show"], "the table has the marks"),
        (["--boxes", folder / "x", "--processes", 0], "--processes must be >= 1"),
        ([folder / "one.mp4", "--boxes", folder / "x"], "give either SOURCE or --jobs"),
    ]:
        assert run(table, *flags) == 2
        assert text in capsys.readouterr().err
    assert main(["track"]) == 2
    assert "give either SOURCE or --jobs" in capsys.readouterr().err
    assert run(folder / "gone.csv", "--boxes", folder / "x") == 2
    assert "gone.csv: No such file" in capsys.readouterr().err


def test_every_rank_takes_its_share(monkeypatch):
    listed = [Job(Path(f"{n}.mp4"), (), Path(f"{n}")) for n in range(5)]
    assert share(listed) == listed
    monkeypatch.setenv("WORLD_SIZE", "2")
    parts = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        parts.append(share(listed))
    assert [len(part) for part in parts] == [3, 2]
    assert {*parts[0], *parts[1]} == {*listed}
    for rank in ("2", "one"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(ValueError, match="torchrun"):
            share(listed)
