"""Curves: a log is read as columns and plotted."""

import cv2
import pytest

from siamcorr.training.curves import plot_logs, read_log

HEAD = "epoch,seconds,score,box,quality,total,rate,norm,overlap\n"
ROWS = "1,9,0.3,0.6,0.6,1.5,1e-3,2,0.4\n2,8,0.2,0.5,0.6,1.3,5e-4,3,0.5\n"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEAD + ROWS)
    return path


def test_log_is_read_by_columns(log):
    columns = read_log(log)
    assert columns["epoch"] == [1, 2]
    assert columns["overlap"] == [0.4, 0.5]
    assert list(columns) == HEAD.strip().split(",")


@pytest.mark.parametrize(
    ("text", "rule"),
    [(HEAD, "has no epoch"), (HEAD + "1,x,2\n", "is not a log"), ("", "has no epoch")],
)
def test_files_that_are_no_log(text, rule, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rule):
        read_log(path)


def test_two_runs_follow_each_other(log, tmp_path):
    pytest.importorskip("matplotlib")
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    plot_logs([read_log(log)], one)
    plot_logs([read_log(log)] * 2, two)
    pictures = [cv2.imread(str(path)) for path in (one, two)]
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()
