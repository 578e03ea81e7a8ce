"""`siamcorr eval`: the table, what it writes, what it does not do twice, and what it refuses."""

import csv
import re

import cv2
import numpy as np
import pytest

from siamcorr.cli import eval as command
from siamcorr.cli import main
from siamcorr.cli.trackers import make_tracker
from siamcorr.data import ClipConfig, find_sequences, render_clip
from siamcorr.evaluation import load_result, run, run_supervised, score
from siamcorr.evaluation.results import result_path

pytest.importorskip("matplotlib")

MIL = "opencv:mil"
FRAMES = 6


@pytest.fixture
def data(tmp_path):
    """Two sequences as OTB lays them out."""
    for seed, name in enumerate(("left", "right")):
        folder = tmp_path / "data" / name
        (folder / "img").mkdir(parents=True)
        config = ClipConfig(frames=FRAMES, width=160, height=120, target=40, seed=seed)
        boxes = []
        for number, (image, box) in enumerate(render_clip(config), 1):
            cv2.imwrite(str(folder / "img" / f"{number:04d}.png"), image[:, :, ::-1])
            boxes.append(box)
        np.savetxt(folder / "groundtruth_rect.txt", boxes, fmt="%.3f", delimiter=",")
    return tmp_path / "data"


@pytest.fixture
def ours(random_weights):
    return f"nanotrack-v2={random_weights}"


@pytest.fixture
def evaluated(data, ours, tmp_path, capsys):
    """A call of the command on the data: exit code, stdout, stderr."""

    def call(*arguments, trackers=(ours, MIL)):
        code = main(["eval", *trackers, "--data", str(data), "--output", str(tmp_path / "out"),
                     *arguments])  # fmt: skip
        return code, *capsys.readouterr()

    return call


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_table_and_files(evaluated, data, ours, tmp_path):
    code, out, _ = evaluated()
    assert code == 0
    table = {row["tracker"]: row for row in rows(tmp_path / "out" / "table.csv")}
    assert set(table) == {ours, MIL}
    for name, row in table.items():
        scores = []
        for sequence in find_sequences(data):
            result = load_result(
                result_path(tmp_path / "out/results", name, sequence.name), len(sequence)
            )
            scores.append(score(result.boxes, sequence.boxes))
        assert float(row["success AUC"]) == pytest.approx(
            np.mean([s.success for s in scores]), abs=6e-4
        )
        assert float(row["AO"]) == pytest.approx(np.mean([s.ao for s in scores]), abs=6e-4)
        assert float(row["frames a second"]) > 0
    assert float(table[MIL]["AO"]) > 0.5
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["tracker", "success", "AUC"]
    assert len({len(line) for line in lines[:3]}) == 1
    printed = {line.split()[0]: line.split()[1:] for line in lines[1:3]}
    assert printed == {name: list(row.values())[1:] for name, row in table.items()}
    report = tmp_path / "out" / "report.html"
    assert lines[-1] == f"report: {report}"
    page = report.read_text(encoding="utf-8")
    for text in ("<h2>left</h2>", "<h2>right</h2>", table[MIL]["AO"], "frames of right"):
        assert text in page


def test_nothing_is_tracked_twice(evaluated, ours, tmp_path, monkeypatch):
    evaluated()
    before = rows(tmp_path / "out" / "table.csv")
    tracked, once = [], run.run_sequence

    def count(tracker, sequence):
        tracked.append(sequence.name)
        return once(tracker, sequence)

    monkeypatch.setattr(run, "run_sequence", count)
    assert evaluated()[0] == 0
    assert tracked == []
    after = rows(tmp_path / "out" / "table.csv")
    for row in (*before, *after):  # speeds are read from a file of few digits
        row.pop("frames a second")
    assert after == before
    result_path(tmp_path / "out" / "results", ours, "right").unlink()
    evaluated()
    assert tracked == ["right"]


def test_failures(evaluated, data, ours, tmp_path):
    evaluated("--failures")
    table = {row["tracker"]: row for row in rows(tmp_path / "out" / "table.csv")}
    lost = [run_supervised(make_tracker(ours), sequence) for sequence in find_sequences(data)]
    assert table[ours]["failures"] == str(sum(lost))
    assert table[MIL]["failures"] == "0"
    assert "<th>failures</th>" in (tmp_path / "out" / "report.html").read_text()


def test_failures_are_counted(evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "run_supervised", lambda tracker, sequence: len(sequence.name))
    evaluated("--failures", trackers=[MIL])
    assert rows(tmp_path / "out" / "table.csv")[0]["failures"] == str(len("left") + len("right"))


def test_a_broken_sequence_costs_itself(evaluated, data, tmp_path):
    """Also where failures are counted, which comes after all the tracking."""
    (data / "left" / "img" / "0003.png").write_bytes(b"no image")
    code, out, _ = evaluated("--failures", trackers=[MIL])
    assert code == 0
    assert re.search(r"(?m)^siamcorr: opencv:mil on left: .*0003\.png: not a readable image$", out)
    assert out.count(" on left") == 1
    assert [row["tracker"] for row in rows(tmp_path / "out" / "table.csv")] == [MIL]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<h2>right</h2>" in page
    assert "<h2>left</h2>" not in page
    assert "0003.png: not a readable image</li>" in page


def test_a_failure_that_cannot_be_counted_is_told(evaluated, tmp_path, monkeypatch):
    """A tracker may refuse to start in the middle."""

    def refuse(tracker, sequence):
        raise ValueError("no start here")

    monkeypatch.setattr(command, "run_supervised", refuse)
    code, out, _ = evaluated("--failures", trackers=[MIL])
    assert code == 0
    assert "siamcorr: opencv:mil on left, failures not counted: no start here" in out


def test_processes(evaluated, tmp_path):
    assert evaluated("--processes", "2", "--threads", "1", trackers=[MIL])[0] == 0
    assert float(rows(tmp_path / "out" / "table.csv")[0]["AO"]) > 0.5


def test_processes_get_their_threads(evaluated, monkeypatch):
    given = []
    monkeypatch.setattr(command, "evaluate", lambda *args: given.extend(args[4:]) or [])
    evaluated("--processes", "2", "--threads", "1", trackers=[MIL])
    assert given == [2, 1]


@pytest.mark.parametrize(
    ("trackers", "text"),
    [
        ([MIL, "nonsense"], "nonsense"),
        ([MIL, "opencv:nonsense"], "opencv:nonsense: OpenCV has no such tracker"),
        ([MIL, "nanotrack-v2=nowhere.pth"], "nowhere.pth"),
    ],
)
def test_unknown_trackers(evaluated, tmp_path, trackers, text):
    code, out, err = evaluated(trackers=trackers)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"siamcorr: .*{text}.*\n", err)
    assert not (tmp_path / "out").exists()


def test_no_sequence_finished(evaluated, data, tmp_path):
    for name in ("left", "right"):
        (data / name / "img" / "0001.png").write_bytes(b"no image")
    code, _, err = evaluated(trackers=[MIL])
    assert code == 2
    assert err.splitlines()[-1].startswith("siamcorr: no tracker finished any sequence")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--processes", "0"], "--processes and --threads must be >= 1"),
        (["--threads", "0"], "--processes and --threads must be >= 1"),
        (["--data", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_errors(evaluated, arguments, text):
    code, out, err = evaluated(*arguments, trackers=[MIL])
    assert (code, out) == (2, "")
    assert err == f"siamcorr: {text}\n"
