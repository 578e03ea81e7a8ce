"""`siamcorr eval`: the table, tables, files, reused results, and errors."""

import math
import re

import numpy as np
import pytest
from cli.conftest import FRAMES, MIL, rows
from training.test_processes import torchrun

from siamcorr.cli import eval as command
from siamcorr.cli.trackers import make_tracker
from siamcorr.data import find_sequences
from siamcorr.evaluation import load_result, run, run_supervised, score
from siamcorr.evaluation.results import result_path

pytest.importorskip("matplotlib")


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
            scores.append(score(result.boxes, sequence.boxes, (120, 160)))
        assert float(row["success AUC"]) == pytest.approx(
            np.mean([s.success for s in scores]), abs=6e-4
        )
        assert float(row["AO"]) == pytest.approx(np.mean([s.ao for s in scores]), abs=6e-4)
        assert float(row["FPS"]) > 0
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


def test_under_torchrun_each_rank_tracks_its_share(data, tmp_path):
    """The first one waits for the others, and reports all."""
    out = tmp_path / "out"
    printed = torchrun("-m", "siamcorr", "eval", MIL, "--data", data, "--output", out)
    assert len([line for line in printed.splitlines() if line.startswith(MIL)]) == 1
    assert printed.count("report: ") == 1
    assert [row["tracker"] for row in rows(out / "table.csv")] == [MIL]
    lengths = [
        len(load_result(result_path(out / "results", MIL, sequence.name), FRAMES).boxes)
        for sequence in find_sequences(data)
    ]
    assert lengths == [FRAMES, FRAMES]


def test_nothing_is_tracked_twice(still, tmp_path, monkeypatch):
    still()
    before = rows(tmp_path / "out" / "table.csv")
    tracked, once = [], run.run_sequence

    def count(tracker, sequence):
        tracked.append(sequence.name)
        return once(tracker, sequence)

    monkeypatch.setattr(run, "run_sequence", count)
    assert still()[0] == 0
    assert tracked == []
    after = rows(tmp_path / "out" / "table.csv")
    for row in (*before, *after):  # speeds are read from a file of few digits
        row.pop("FPS")
    assert after == before
    result_path(tmp_path / "out" / "results", "still", "right").unlink()
    still()
    assert tracked == ["right"]


def test_failures(evaluated, data, ours, tmp_path):
    evaluated("--failures")
    table = {row["tracker"]: row for row in rows(tmp_path / "out" / "table.csv")}
    lost = [run_supervised(make_tracker(ours), sequence) for sequence in find_sequences(data)]
    assert table[ours]["failures"] == str(sum(lost))
    assert table[MIL]["failures"] == "0"
    assert "<th>failures</th>" in (tmp_path / "out" / "report.html").read_text()
    assert table[MIL]["robustness"] == "1.000"


def test_failures_are_counted(still, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "run_supervised", lambda tracker, sequence: len(sequence.name))
    still("--failures")
    row = rows(tmp_path / "out" / "table.csv")[0]
    assert row["failures"] == str(len("left") + len("right"))
    assert float(row["robustness"]) == pytest.approx(math.exp(-30 * 9 / (2 * FRAMES)), abs=6e-4)
    failures = {r["sequence"]: r["failures"] for r in rows(tmp_path / "out" / "sequences.csv")}
    assert failures == {"left": "4", "right": "5"}


def test_a_broken_sequence_stops_no_other(evaluated, data, tmp_path):
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


def test_a_failure_that_cannot_be_counted_is_reported(still, tmp_path, monkeypatch):
    """A tracker may refuse to start in the middle."""

    def refuse(tracker, sequence):
        raise ValueError("no start here")

    monkeypatch.setattr(command, "run_supervised", refuse)
    code, out, _ = still("--failures")
    assert code == 0
    assert "siamcorr: still on left, failures not counted: no start here" in out


def test_sequences_one_by_one(still, data, tmp_path):
    still()
    table = rows(tmp_path / "out" / "sequences.csv")
    assert [row["sequence"] for row in table] == ["left", "right"]
    assert [row["tracker"] for row in table] == ["still"] * 2
    for sequence in find_sequences(data):
        path = result_path(tmp_path / "out/results", "still", sequence.name)
        found = score(load_result(path, FRAMES).boxes, sequence.boxes, (120, 160))
        (row,) = [row for row in table if row["sequence"] == sequence.name]
        assert row["frames"] == str(FRAMES)
        assert float(row["success AUC"]) == pytest.approx(found.success, abs=6e-4)
        assert float(row["SR 0.75"]) == pytest.approx(found.sr75, abs=6e-4)


def test_attributes(still, data, tmp_path):
    (data / "left" / "attrs.txt").write_text("FM, OCC")
    (data / "right" / "attrs.txt").write_text("OCC")
    _, out, _ = still()
    sequences = {r["sequence"]: r for r in rows(tmp_path / "out" / "sequences.csv")}
    success = {name: float(row["success AUC"]) for name, row in sequences.items()}
    fast, occluded = rows(tmp_path / "out" / "attributes.csv")
    assert fast == {"attribute": "fast motion", "count": "1", "of": "sequences",
                    "still": sequences["left"]["success AUC"]}  # fmt: skip
    assert (occluded["attribute"], occluded["count"]) == ("occlusion", "2")
    assert float(occluded["still"]) == pytest.approx(sum(success.values()) / 2, abs=1.1e-3)
    assert re.search(r"(?m)^fast motion +1 +sequences +0\.\d{3}$", out)
    assert "<h2>Attributes</h2>" in (tmp_path / "out" / "report.html").read_text()
    for name in success:
        (data / name / "attrs.txt").unlink()
    _, out, _ = still()
    assert "fast motion" not in out
    assert not (tmp_path / "out" / "attributes.csv").exists()  # it would be of other data


def test_ao_ignores_parts_outside_the_frame(still, data, tmp_path):
    (data / "left" / "groundtruth_rect.txt").write_text("-20,10,60,40\n" + "-50,10,70,40\n" * 5)
    still()
    sequence = find_sequences(data)[0]
    boxes = np.tile(sequence.boxes[0], (FRAMES, 1))
    bounded, whole = (score(boxes, sequence.boxes, size) for size in ((120, 160), None))
    assert abs(bounded.ao - whole.ao) > 0.1
    row = rows(tmp_path / "out" / "sequences.csv")[0]
    assert float(row["AO"]) == pytest.approx(bounded.ao, abs=6e-4)
    assert float(row["success AUC"]) == pytest.approx(whole.success, abs=6e-4)


@pytest.fixture
def tilted(data):
    """The same sequences in VOT's layout: diamonds inside the boxes."""
    for folder in data.iterdir():
        x, y, w, h = np.loadtxt(folder / "groundtruth_rect.txt", delimiter=",").T
        corners = [x + w / 2, y, x + w, y + h / 2, x + w / 2, y + h, x, y + h / 2]
        text = np.column_stack(corners)
        np.savetxt(folder / "groundtruth.txt", text, fmt="%.3f", delimiter=",")
        (folder / "groundtruth_rect.txt").unlink()
    return data


def test_polygons(tilted, still, tmp_path):
    pytest.importorskip("shapely")
    still()
    table = {row["sequence"]: row for row in rows(tmp_path / "out" / "sequences.csv")}
    for sequence in find_sequences(tilted):
        path = result_path(tmp_path / "out/results", "still", sequence.name)
        boxes = load_result(path, FRAMES).boxes
        found = score(boxes, sequence.boxes, (120, 160), sequence.polygons)
        assert float(table[sequence.name]["AO"]) == pytest.approx(found.ao, abs=6e-4)
        assert found.ao < score(boxes, sequence.boxes).ao - 0.1  # half the box is in the diamond


def test_polygons_without_shapely(tilted, still, tmp_path, monkeypatch):
    """Told before the minutes of tracking."""
    real = command.find_spec
    monkeypatch.setattr(
        command, "find_spec", lambda name: real(name) if name != "shapely" else None
    )
    code, out, err = still()
    assert (code, out) == (2, "")
    text = "overlaps with polygons need shapely: pip install 'siamcorr[eval]'"
    assert err == f"siamcorr: {text}\n"
    assert not (tmp_path / "out").exists()


# several processes


def test_processes(evaluated, tmp_path):
    assert evaluated("--processes", "2", "--threads", "1", trackers=[MIL])[0] == 0
    assert float(rows(tmp_path / "out" / "table.csv")[0]["AO"]) > 0.5


def test_processes_get_their_threads(evaluated, monkeypatch):
    given = []
    monkeypatch.setattr(command, "evaluate", lambda *args: given.extend(args[4:]) or [])
    evaluated("--processes", "2", "--threads", "1", trackers=[MIL])
    assert given == [2, 1]


def test_recover(ours):
    """A suffix of the model's name, so that one table can show both."""
    model, _, weights = ours.partition("=")
    assert not make_tracker(ours).recover
    assert make_tracker(f"{model}+recover={weights}" if weights else f"{model}+recover").recover


@pytest.mark.parametrize(
    ("trackers", "text"),
    [
        ([MIL, "nonsense"], "nonsense"),
        ([MIL, "opencv:nonsense"], "opencv:nonsense: OpenCV has no such tracker"),
        ([MIL, "nanotrack-v2=nowhere.pth"], "nowhere.pth"),
        ([MIL, "siamrpnpp-alexnet+recover=nowhere.pth"], "nowhere.pth"),
        ([MIL, "opencv:mil+recover"], r"opencv:mil\+recover: OpenCV has no such tracker"),
    ],
)
def test_unknown_trackers(evaluated, tmp_path, trackers, text):
    code, out, err = evaluated(trackers=trackers)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"siamcorr: .*{text}.*\n", err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [("text.mp4", "text.mp4/results: Not a directory"), ("folder", "report.html: Is a directory")],
)
def test_an_unwritable_output_fails_before_tracking(name, text, still, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "run_sequence", lambda *_: pytest.fail("tracked"))
    (tmp_path / "text.mp4").write_text("mine")
    (tmp_path / "folder" / "report.html").mkdir(parents=True)
    code, out, err = still("--output", str(tmp_path / name))
    assert (code, out) == (2, "")
    assert err.startswith(f"siamcorr: {tmp_path / name}")
    assert err.endswith(f"{text}\n")
    assert (tmp_path / "text.mp4").read_text() == "mine"


def test_no_sequence_finished(evaluated, data, tmp_path):
    for name in ("left", "right"):
        (data / name / "img" / "0001.png").write_bytes(b"no image")
    code, _, err = evaluated(trackers=[MIL])
    assert code == 2
    assert err.splitlines()[-1].startswith("siamcorr: no tracker finished any sequence")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--processes", "0"], "--processes must be >= 1, got 0"),
        (["--threads", "0"], "--threads must be >= 1, got 0"),
        (["--data", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_errors(evaluated, arguments, text):
    code, out, err = evaluated(*arguments, trackers=[MIL])
    assert (code, out) == (2, "")
    assert err == f"siamcorr: {text}\n"
