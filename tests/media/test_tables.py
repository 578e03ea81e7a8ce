"""Tables of boxes: the formats, and the contents of the file after an error."""

import csv
import errno
import gc
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from siamcorr.media import CsvSink, append_file, open_table

LINE_FORMATS = (".csv", ".jsonl", ".txt")
SIZE = (320, 240)
HEADER = "frame,time,x,y,w,h,score,target,lost"
linux = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and /dev/fd are of Linux")


def write_three(table):
    """One target, then another that is lost, then the first again."""
    table.write(7, 7 / 30, (1, 2.5, 30.12345, 40), 0.98765)
    table.write(7, 7 / 30, (-1.5, 2, 30, 40), 0.2, target=3, lost=True)
    table.write(8, 8 / 30, (2, 3, 30, 40), 1.0, target=0)


def lines(path):
    return path.read_text().splitlines()


def rows_in(path):
    """The rows of a table, without the header of a CSV table."""
    return [line for line in lines(path) if line != HEADER]


# formats

EXPECTED = {
    ".csv": [
        HEADER,
        "7,0.2333,1.000,2.500,30.123,40.000,0.9877,0,0",
        "7,0.2333,-1.500,2.000,30.000,40.000,0.2000,3,1",
        "8,0.2667,2.000,3.000,30.000,40.000,1.0000,0,0",
    ],
    ".txt": [
        "8,1,2.000,3.500,30.123,40.000,0.9877,-1,-1,-1",
        "9,1,3.000,4.000,30.000,40.000,1.0000,-1,-1,-1",
    ],
}


@pytest.mark.parametrize("suffix", EXPECTED)
def test_text_of_rows(suffix, tmp_path):
    path = tmp_path / f"out{suffix.upper()}"
    with open_table(path) as table:
        write_three(table)
    assert lines(path) == EXPECTED[suffix]


def test_csv_reads_back_by_column_names(tmp_path):
    path = tmp_path / "out.csv"
    with CsvSink(path) as table:
        write_three(table)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["7", "7", "8"]
    assert [row["target"] for row in rows] == ["0", "3", "0"]
    assert [row["lost"] for row in rows] == ["0", "1", "0"]
    assert [rows[1][name] for name in "xywh"] == ["-1.500", "2.000", "30.000", "40.000"]


def test_json_lines_are_objects(tmp_path):
    path = tmp_path / "out.jsonl"
    with open_table(path) as table:
        write_three(table)
    first, second, third = map(json.loads, lines(path))
    assert first == {
        "frame": 7,
        "time": 0.2333,
        "target": 0,
        "box": [1, 2.5, 30.123, 40],
        "score": 0.9877,
        "lost": False,
    }
    assert (second["target"], second["lost"], second["box"][0]) == (3, True, -1.5)
    assert (third["frame"], third["time"]) == (8, 0.2667)


def test_mot_counts_from_one_and_leaves_lost_targets_out(tmp_path):
    path = tmp_path / "out.txt"
    with open_table(path) as table:
        for frame in range(3):
            table.write(frame, frame / 30, (0, 0, 10, 20), 0.5, target=0)
            table.write(frame, frame / 30, (4, 5, 6, 7), 0.75, target=1, lost=frame == 1)
    numbers = np.loadtxt(path, delimiter=",")
    assert numbers[:, :2].tolist() == [[1, 1], [1, 2], [2, 1], [3, 1], [3, 2]]
    assert numbers[0].tolist() == [1, 1, 1, 1, 10, 20, 0.5, -1, -1, -1]
    assert numbers[-1].tolist() == [3, 2, 5, 6, 6, 7, 0.75, -1, -1, -1]


@pytest.mark.parametrize("suffix", [*LINE_FORMATS, ".json"])
def test_numbers_of_numpy_are_numbers(suffix, tmp_path):
    box = (1.5, 2.5, 30, 40)
    paths = tmp_path / f"plain{suffix}", tmp_path / f"numpy{suffix}"
    with open_table(paths[0], SIZE) as table:
        table.write(2, 0.5, box, 0.25, 1, True)
    with open_table(paths[1], SIZE) as table:
        given = np.int64(2), np.float32(0.5), np.array(box, np.float32), np.float32(0.25)
        table.write(*given, np.int64(1), np.bool_(True))
    assert paths[0].read_bytes() == paths[1].read_bytes()


# errors


@pytest.mark.parametrize("name", ["out.xml", "out", "out.mp4"])
def test_unknown_suffix_lists_the_known(name, tmp_path):
    with pytest.raises(ValueError, match=r"unknown table suffix, known are .*\.jsonl") as caught:
        open_table(tmp_path / name, SIZE)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert all(suffix in str(caught.value) for suffix in (*LINE_FORMATS, ".json"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [*LINE_FORMATS, ".json"])
def test_folder_that_does_not_exist(suffix, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"gone/out\{suffix}"):
        open_table(tmp_path / "gone" / f"out{suffix}", SIZE)


GOOD = {"frame": 0, "time": 0.0, "box_xywh": (1, 2, 3, 4), "score": 0.5, "target": 0}
BAD = [
    ({"frame": -1}, ValueError, "count from 0, got -1 and 0"),
    ({"target": -2}, ValueError, "count from 0, got 0 and -2"),
    ({"frame": 1.5}, TypeError, "float"),
    ({"time": float("inf")}, ValueError, "values must be finite.* got time inf"),
    ({"score": float("nan")}, ValueError, "values must be finite.* score nan"),
    ({"box_xywh": (1, 2, float("nan"), 4)}, ValueError, r"frame 0: .* box \(1.0, 2.0, nan, 4.0\)"),
    ({"box_xywh": (1, 2, 3)}, ValueError, "the box must have 4"),
]


@pytest.mark.parametrize(("wrong", "kind", "text"), BAD)
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_invalid_row_is_refused(wrong, kind, text, suffix, tmp_path):
    path = tmp_path / f"out{suffix}"
    with open_table(path, SIZE) as table:
        before = path.read_bytes()
        with pytest.raises(kind, match=text):
            table.write(**GOOD | wrong)
        assert path.read_bytes() == before


# contents of the file


@pytest.mark.parametrize("suffix", LINE_FORMATS)
def test_row_is_in_the_file_before_it_is_closed(suffix, tmp_path):
    path = tmp_path / f"out{suffix}"
    with open_table(path) as table:
        for count in range(3):
            assert len(rows_in(path)) == count
            table.write(count, 0.0, (1, 2, 3, 4), 1.0)


@pytest.mark.parametrize("suffix", LINE_FORMATS)
def test_older_table_is_overwritten(suffix, tmp_path):
    path = tmp_path / f"out{suffix}"
    path.write_text("an older and longer one\n" * 99)
    with open_table(path) as table:
        table.write(**GOOD)
    assert len(rows_in(path)) == 1


@linux
def test_table_on_a_full_disk():
    """An OSError that names the file, and no second one when the table is deleted."""
    with pytest.raises(OSError, match="No space left") as caught:
        CsvSink("/dev/full")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == "/dev/full"
    del caught
    gc.collect()  # a file left open would warn now and fail the test


def fill_up_and_write(path):
    with open_table(path) as table:
        table.write(**GOOD)
        with Path("/dev/full").open("wb", buffering=0) as full:
            os.dup2(full.fileno(), table._file.file.fileno())
        table.write(**GOOD | {"frame": 1})


@linux
@pytest.mark.parametrize("suffix", LINE_FORMATS)
def test_row_on_a_full_disk(suffix, tmp_path):
    path = tmp_path / f"out{suffix}"
    with pytest.raises(OSError, match=rf"No space left on device: '.*out\{suffix}'"):
        fill_up_and_write(path)
    assert len(rows_in(path)) == 1


class Narrow:
    """Replacement for os.write on a disk with room for 10 more bytes."""

    def __init__(self, error):
        self.error, self.left, self.real = error, 10, os.write

    def __call__(self, descriptor, data):
        if not self.left:
            raise self.error
        written = self.real(descriptor, data[: self.left])
        self.left -= written
        return written


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize("suffix", [*LINE_FORMATS, ".json"])
def test_incomplete_row_is_rolled_back(suffix, error, tmp_path, monkeypatch):
    """When there is room again, the next row begins on a new line."""
    path, other = tmp_path / f"out{suffix}", tmp_path / f"other{suffix}"
    with open_table(path, SIZE) as table:
        table.write(**GOOD)
        with monkeypatch.context() as patch:
            patch.setattr(append_file.os, "write", Narrow(error))
            with pytest.raises(type(error)):
                table.write(**GOOD | {"target": 1})
        table.write(**GOOD | {"frame": 1})
    with open_table(other, SIZE) as table:
        table.write(**GOOD)
        table.write(**GOOD | {"frame": 1})
    assert path.read_bytes() == other.read_bytes()


@linux
@pytest.mark.parametrize("suffix", LINE_FORMATS)
def test_pipe_takes_rows(suffix, tmp_path):
    """As in `--boxes /dev/stdout`; the suffix comes from a link to it."""
    read_end, write_end = os.pipe()
    link = tmp_path / f"out{suffix}"
    link.symlink_to(f"/dev/fd/{write_end}")
    with os.fdopen(read_end, "rb") as reader:
        with open_table(link) as table:
            os.close(write_end)
            table.write(**GOOD)
        text = reader.read().decode()
    assert [line for line in text.splitlines() if line != HEADER] != []
    assert text.endswith("\n")


def write_and_interrupt(path):
    with open_table(path, SIZE) as table:
        write_three(table)
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("suffix", "count"), [(".csv", 3), (".jsonl", 3), (".txt", 2)])
def test_ctrl_c_keeps_what_was_written(suffix, count, tmp_path):
    path = tmp_path / f"out{suffix}"
    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt(path)
    assert len(rows_in(path)) == count


def test_closed_table_refuses_rows(tmp_path):
    table = open_table(tmp_path / "out.csv")
    table.close()
    table.close()
    with pytest.raises(ValueError, match="closed file"):
        table.write(**GOOD)
