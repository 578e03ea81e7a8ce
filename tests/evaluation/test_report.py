"""The report: everything in one page, in the same colours throughout."""

import base64
import html
import math
import re

import cv2
import numpy as np
import pytest

from siamcorr.evaluation import mean_scores, score, tracker_colors, write_report
from siamcorr.evaluation.palette import hex_color
from siamcorr.evaluation.plots import overlap_plot
from siamcorr.evaluation.tables import score_table

pytest.importorskip("matplotlib")

TRUTH = np.tile([20.0, 20, 30, 40], (12, 1))
NAMES = ["good & <b>", "bad"]
COLORS = tracker_colors(NAMES)


def moved(x, y):
    return TRUTH + np.array([x, y, 0, 0])


@pytest.fixture
def scores():
    return {
        NAMES[1]: mean_scores([score(moved(15, 0), TRUTH)]),
        NAMES[0]: mean_scores([score(moved(0, 2), TRUTH)]),
    }


@pytest.fixture
def tables(scores):
    return {
        "All <of>": score_table(scores, {NAMES[0]: 41.6, NAMES[1]: 100.2}),
        "Attributes": [["attribute", "count", "of", *NAMES], ["fog", "3", "frames", "1", "0"]],
    }


@pytest.fixture
def page(tmp_path, scores, tables):
    """The text of a whole report."""
    overlaps = {name: np.linspace(0, 1, 12) for name in NAMES}
    overlaps["bad"][4] = math.nan
    strips = {"Human<4>": np.full((240, 500, 3), (200, 30, 30), np.uint8)}
    curves = {"Human<4>": overlaps, "one frame": {"bad": np.ones(1)}}
    path = tmp_path / "new" / "report.html"
    write_report(path, tables, scores, curves, strips, COLORS, ["<i>x</i> on y: 3 & 4"])
    return path.read_text(encoding="utf-8")


def pictures(page):
    """By their alt text."""
    found = re.findall(r'<img alt="([^"]*)" src="data:image/(png|jpeg);base64,([^"]+)">', page)
    assert len(found) == page.count("<img")
    return {
        alt: cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        for alt, _, data in found
    }


def shows(picture, color):
    """How many pixels of a picture as OpenCV reads it have a colour, or nearly."""
    return int((abs(picture[:, :, ::-1].astype(int) - color).max(axis=2) < 12).sum())


def test_page_needs_no_other_files(page):
    assert page.startswith("<!doctype html>")
    assert re.findall(r'(?:src|href|url)\s*[=(]\s*"?(?!"?data:)', page) == []
    for tag in ("<script", "<link", "@import"):
        assert tag not in page


def test_page_has_the_tables(page, tables):
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", page)
    texts = [html.unescape(re.sub("<.*?>", "", cell)) for cell in cells]
    assert texts == [cell for table in tables.values() for line in table for cell in line]
    assert page.index("All &lt;of&gt;</h2>") < page.index("Attributes</h2>")


def test_words_are_flush_left_and_numbers_right(page):
    assert re.findall(r'<th class="text">([a-z]+)</th>', page) == ["tracker", "attribute", "of"]
    assert re.findall(r'<td class="text">([a-z]+)</td>', page) == ["fog", "frames"]


def test_every_name_in_tables_and_keys_has_its_color(page):
    for name in NAMES:
        mark = f'<i style="background:{hex_color(COLORS[name])}"></i>{html.escape(name)}'
        # two tables, and the keys of the sequences that it finished
        assert page.count(mark) == (4 if name == "bad" else 3)
    keys = re.findall(r'<p class="key">(.*?)</p>', page)
    assert [re.findall(r"([^>]+)</span>", key) for key in keys] == [
        [html.escape(NAMES[0]), "bad", "truth"],
        ["bad"],  # no frames are shown, and so no truth
    ]
    assert '<i style="background:#ffffff"></i>truth' in keys[0]


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
        for color in COLORS.values():
            assert shows(file, color) > 300
    assert shows(shown["overlap in one frame"], COLORS["bad"]) > 20  # a dot
    assert shows(shown["overlap in one frame"], COLORS[NAMES[0]]) == 0


def test_a_tracker_keeps_its_color_where_others_are_missing():
    values = np.linspace(0.2, 0.8, 50)
    colors = tracker_colors(["a", "b", "c"])
    content = np.frombuffer(overlap_plot({"c": values}, colors), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR)
    assert [shows(picture, colors[name]) > 300 for name in "abc"] == [False, False, True]


def test_legend_covers_no_curve(scores, tmp_path):
    """The more trackers, the higher the picture, so that no curve is covered."""
    heights = []
    for count in (2, 12):
        many = {f"t{n}": scores["bad"] for n in range(count)}
        path = tmp_path / f"{count}.html"
        write_report(path, {}, many, {}, {}, tracker_colors(many))
        heights.append(cv2.imread(str(tmp_path / f"{count}-success.png")).shape[0])
    assert heights[1] > heights[0] + 150


def test_problems_only_where_there_are_some(page, scores, tables, tmp_path):
    assert page.count("<h2>Problems</h2>") == 1
    write_report(tmp_path / "b.html", tables, scores, {}, {}, COLORS)
    assert "Problems" not in (tmp_path / "b.html").read_text()
