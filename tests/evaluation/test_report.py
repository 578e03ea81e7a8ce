"""The report: everything in one page, and frames that tell the trackers apart."""

import base64
import html
import math
import re

import cv2
import numpy as np
import pytest

from siamcorr.evaluation import mean_scores, score, write_report
from siamcorr.evaluation.report import COLORS, score_table, strip, telling_frames

pytest.importorskip("matplotlib")

TRUTH = np.tile([20.0, 20, 30, 40], (12, 1))
NAMES = ["good & <b>", "bad"]


def moved(x, y):
    return TRUTH + np.array([x, y, 0, 0])


@pytest.fixture
def scores():
    return {
        NAMES[1]: mean_scores([score(moved(15, 0), TRUTH)]),
        NAMES[0]: mean_scores([score(moved(0, 2), TRUTH)]),
    }


@pytest.fixture
def table(scores):
    return score_table(scores, {NAMES[0]: 41.6, NAMES[1]: 100.2})


@pytest.fixture
def page(tmp_path, scores, table):
    """The text of a whole report."""
    overlaps = {name: np.linspace(0, 1, 12) for name in NAMES}
    overlaps["bad"][4] = math.nan
    strips = {"Human<4>": np.full((240, 500, 3), (200, 30, 30), np.uint8)}
    curves = {"Human<4>": overlaps, "one frame": {"bad": np.ones(1)}}
    path = tmp_path / "new" / "report.html"
    write_report(path, table, scores, curves, strips, ["<i>x</i> on y: 3 & 4"])
    return path.read_text(encoding="utf-8")


def pictures(page):
    """By their alt text."""
    found = re.findall(r'<img alt="([^"]*)" src="data:image/(png|jpeg);base64,([^"]+)">', page)
    assert len(found) == page.count("<img")
    return {
        alt: cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        for alt, _, data in found
    }


def test_table(scores, table):
    assert [line[0] for line in table] == ["tracker", *NAMES]  # the best first
    assert table[0][1] == "success AUC"
    assert table[0][-1] == "frames a second"
    best = scores[NAMES[0]]
    values = [best.success, best.precision, best.norm_precision, best.ao, best.sr50, best.sr75]
    assert table[1][1:] == [*(f"{value:.3f}" for value in values), "42"]
    assert table[2][1:3] == ["0.333", "1.000"]  # an overlap of a third is over 7 of 21
    assert table[2][4:] == ["0.333", "0.000", "0.000", "100"]


def test_page_needs_nothing_beside_it(page):
    assert page.startswith("<!doctype html>")
    assert re.findall(r'(?:src|href|url)\s*[=(]\s*"?(?!"?data:)', page) == []
    for tag in ("<script", "<link", "@import"):
        assert tag not in page


def test_page_has_the_table(page, table):
    cells = re.findall(r"<t[hd]>(.*?)</t[hd]>", page)
    assert [html.unescape(cell) for cell in cells] == [cell for line in table for cell in line]


def test_names_are_escaped(page):
    for text in ("good &amp; &lt;b&gt;", "<h2>Human&lt;4&gt;</h2>", "&lt;i&gt;x&lt;/i&gt; on y"):
        assert text in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_pictures(page, tmp_path):
    shown = pictures(page)
    assert list(shown) == [
        "success",
        "precision",
        "overlap in Human&lt;4&gt;",
        "frames of Human&lt;4&gt;",
        "overlap in one frame",
    ]
    blue, _, red = shown["frames of Human&lt;4&gt;"].mean(axis=(0, 1))
    assert red > 190 > 40 > blue  # the strip is RGB
    for name in ("success", "precision"):
        file = cv2.imread(str(tmp_path / "new" / f"report-{name}.png"))
        np.testing.assert_array_equal(file, shown[name])
        assert file.std() > 5


def test_problems_only_where_there_are_some(page, scores, table, tmp_path):
    assert page.count("Not evaluated") == 1
    write_report(tmp_path / "b.html", table, scores, {}, {})
    assert "Not evaluated" not in (tmp_path / "b.html").read_text()


# frames


def test_telling_frames_are_where_trackers_differ():
    a, b = np.full(100, 0.8), np.full(100, 0.8)
    b[[15, 40, 70, 90]] = [0.1, 0.2, 0.3, 0.0]
    b[[41, 42, 71]] = [0.21, 0.22, 0.31]  # as telling as their neighbours, so one is enough
    assert telling_frames({"a": a, "b": b}, 4) == [15, 40, 70, 90]


@pytest.mark.parametrize(("length", "expected"), [(1, 1), (3, 3), (5, 5), (100, 5), (1000, 5)])
def test_telling_frames_are_apart(rng, length, expected):
    chosen = telling_frames({"a": rng.random(length), "b": rng.random(length)})
    assert len(chosen) == expected
    assert chosen == sorted(set(chosen))
    assert np.diff(chosen).min(initial=length) >= length // 10
    assert all(0 <= index < length for index in chosen)


def test_telling_frames_of_one_tracker_are_its_worst():
    overlap = np.full(60, 0.9)
    overlap[[5, 30, 50]] = [0.2, 0.0, 0.4]
    assert telling_frames({"a": overlap}, 3) == [5, 30, 50]


def test_telling_frames_where_truth_is_unknown():
    a, b = np.ones(40), np.ones(40)
    a[10:20] = b[10:20] = math.nan
    b[33] = 0.0
    assert 33 in telling_frames({"a": a, "b": b}, 1)


def test_strip():
    frames = [(index, np.full((120, 160, 3), 50 + index, np.uint8)) for index in (2, 7)]
    before = frames[0][1].copy()
    truth = TRUTH.copy()
    truth[7] = math.nan
    boxes = {"a": moved(40, 0), "b": moved(0, 40)}
    for found in boxes.values():
        found[7, 0] += 50
    row = strip(frames, boxes, truth)
    assert (row.shape, row.dtype) == ((240, 640, 3), np.uint8)
    np.testing.assert_array_equal(frames[0][1], before)
    # Both tiles are twice as large; left sides of the boxes at half their height.
    for x, y, color in ((60, 40, COLORS[0]), (20, 80, COLORS[1])):
        for left in (0, 320 + 2 * 50):
            assert abs(row[2 * y, left + 2 * x].astype(int) - color).max() < 30
    assert row[100, 40].min() > 225  # the true one
    assert row[60, 320 + 40].max() < 60  # which nobody knows in the other frame


def test_strip_of_many_trackers():
    boxes = {f"t{number}": TRUTH for number in range(20)}
    assert strip([(0, np.zeros((60, 80, 3), np.uint8))], boxes, TRUTH).shape == (240, 320, 3)
