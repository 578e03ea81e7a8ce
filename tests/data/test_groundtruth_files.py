"""Annotation files: all kinds of regions, masks against decoded ones, tables, numbers."""

import math

import numpy as np
import pytest

from siamcorr.data.datasets.groundtruth_files import (
    mask_box,
    parse_region,
    read_numbers,
    read_truth,
)

NAN = (math.nan,) * 4


def truth_of(tmp_path, text):
    path = tmp_path / "groundtruth.txt"
    path.write_text(text, encoding="utf-8")
    return read_truth(path)


def run_lengths(mask):
    """VOT's run-length code of a mask, computed pixel by pixel; zeros first."""
    counts, inside = [0], False
    for pixel in mask.ravel():
        if pixel != inside:
            counts.append(0)
            inside = not inside
        counts[-1] += 1
    return counts


# regions


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("1,2,3,4", (1, 2, 3, 4)),
        ("1\t2\t3\t4", (1, 2, 3, 4)),
        (" 1.5   -2 3e1  4 ", (1.5, -2, 30, 4)),
        ("1, 2, 3, 4,", (1, 2, 3, 4)),
        ("1;2;3;4", (1, 2, 3, 4)),
        ("2,1,8,3,7,9,1,7", (1, 1, 7, 8)),
        ("nan,nan,nan,nan", NAN),
        ("NaN NaN NaN NaN", NAN),
        ("1,2,inf,4", NAN),
        ("2,1,8,3,nan,9,1,7", NAN),
        ("0,0,0,0", NAN),
        ("5,5,0,9", NAN),
        ("5,5,9,-1", NAN),
        ("1,1,5,5,5,5,1,1", (1, 1, 4, 4)),  # a line, but its box has an area
        ("1,1,5,1,5,1,1,1", NAN),
        ("0", NAN),  # VOT: no region
    ],
)
def test_region(line, box):
    assert parse_region(line)[0] == pytest.approx(box, nan_ok=True)


@pytest.mark.parametrize("line", ["1,2", "1,2,3", "1,2,3,4,5", "1,2,3,4,5,6", "a,b,c,d", "1,2,3,x"])
def test_no_region(line, tmp_path):
    with pytest.raises(ValueError, match=f"groundtruth.txt: line 2 is not a region: '{line}'"):
        truth_of(tmp_path, f"1,2,3,4\n{line}\n")


def test_corners_are_kept_where_a_line_has_them(tmp_path):
    boxes, polygons = truth_of(tmp_path, "2,1,8,3,7,9,1,7\n1,2,3,4\nnan,1,8,3,7,9,1,7\n")
    np.testing.assert_array_equal(boxes, [(1, 1, 7, 8), (1, 2, 3, 4), NAN])
    np.testing.assert_array_equal(polygons, [(2, 1, 8, 3, 7, 9, 1, 7), NAN * 2, NAN * 2])
    assert boxes.dtype == polygons.dtype == np.float64
    assert truth_of(tmp_path, "1,2,3,4\n5,6,7,8\n")[1] is None


def test_byte_order_mark_line_ends_and_blank_lines(tmp_path):
    boxes, _ = truth_of(tmp_path, "\ufeff1,2,3,4\r\n\r\n5,6,7,8\r\n\n")
    np.testing.assert_array_equal(boxes, [(1, 2, 3, 4), (5, 6, 7, 8)])


def test_empty_file(tmp_path):
    boxes, polygons = truth_of(tmp_path, " \n\n")
    assert boxes.shape == (0, 4)
    assert polygons is None


# masks


@pytest.mark.parametrize(
    ("code", "box"),
    [
        ("0,0,3,2,0,6", (0, 0, 3, 2)),
        ("7,9,3,2,0,6", (7, 9, 3, 2)),
        ("7,9,3,2,1,1", (8, 9, 1, 1)),  # zeros at the end may be omitted
        ("7,9,3,2,4,1,1", (8, 10, 1, 1)),
        ("7,9,3,2,2,2", (7, 9, 3, 2)),  # over the end of a row: both sides
        ("7,9,3,3,3,3", (7, 10, 3, 1)),  # exactly one row
        ("7,9,3,2,6", NAN),
        ("7,9,3,2,2,0,4", NAN),
        ("0,0,0,0", NAN),
        ("0,0,2000000,2000000,2000000,1", (0, 1, 1, 1)),  # never decoded
    ],
)
def test_mask(code, box):
    assert mask_box(code) == pytest.approx(box, nan_ok=True)
    region, corners = parse_region("m" + code)
    assert region == pytest.approx(box, nan_ok=True)
    assert np.isnan(corners).all()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.7])
def test_mask_against_its_pixels(share, rng):
    for _ in range(60):
        mask = rng.random(rng.integers(1, 9, size=2)) < share
        left, top = rng.integers(-3, 50, size=2)
        rows, columns = np.nonzero(mask)
        expected = NAN
        if len(rows):
            x, y = columns.min(), rows.min()
            expected = left + x, top + y, columns.max() + 1 - x, rows.max() + 1 - y
        numbers = [left, top, mask.shape[1], mask.shape[0], *run_lengths(mask)]
        assert mask_box(",".join(map(str, numbers))) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    "code", ["0,0,3,2,0,7", "0,0,3,2,-1,2", "0,0,-3,-2,1,1", "0,0,3", "0,0,3,2,1.5", "", "9" * 40]
)
def test_no_mask(code, tmp_path):
    with pytest.raises(ValueError, match="line 1 is not a region: 'm"):
        truth_of(tmp_path, "m" + code)


def test_mask_of_numbers_beyond_any_integer(tmp_path):
    with pytest.raises(ValueError, match="line 1 is not a region: 'm"):
        truth_of(tmp_path, f"m0,0,{'9' * 30},{'9' * 30},{'9' * 30},1")


# tables and numbers


@pytest.mark.parametrize(
    "text",
    [
        "frame,x,y,w,h\n0,1,2,3,4\n2,5,6,7,8\n",
        "frame,x,y,w,h\n2,5,6,7,8\n0,1,2,3,4\n",
        "frame,time,x,y,w,h,score\n0,0.0,1,2,3,4,0.5\n2,0.1,5,6,7,8,0.5\n",  # as tracks are written
        "H;W;Y;X;Frame\n4;3;2;1;0\n8;7;6;5;2\n",
        "frame x  y w h\n0   1 2 3 4\n2 5 6 7 8\n",
        "frame,x,y,w,h\n0,1,2,3,4\n1,,,,\n2,5,6,7,8\n",
        "x,y,w,h\n1,2,3,4\nnan,nan,nan,nan\n5,6,7,8\n",
    ],
)
def test_table(text, tmp_path):
    boxes, polygons = truth_of(tmp_path, text)
    np.testing.assert_array_equal(boxes, [(1, 2, 3, 4), NAN, (5, 6, 7, 8)])
    assert polygons is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("frame,x,y\n0,1,2\n", "columns must be x, y, w, h and optionally frame, got 'frame,x,y'"),
        ("frame,x,y,w,h\n0,1,2,3,4\n1,2,3\n", "line 3 is not a row: '1,2,3'"),
        ("frame,x,y,w,h\nzero,1,2,3,4\n", "line 2 is not a row"),
        ("frame,x,y,w,h\n0,1,2,three,4\n", "line 2 is not a row"),
        ("frame,x,y,w,h\n-1,1,2,3,4\n", "line 2: frame -1 is out of range"),
        ("frame,x,y,w,h\n99999999999,1,2,3,4\n", "line 2: frame 99999999999 is out of range"),
        (
            "frame,x,y,w,h\n0,1,2,3,4\n\n0,1,2,3,4\n",
            "line 4: frame 0 is .* repeated",
        ),
    ],
)
def test_no_table(text, why, tmp_path):
    with pytest.raises(ValueError, match=f"groundtruth.txt: {why}"):
        truth_of(tmp_path, text)


def test_table_without_rows(tmp_path):
    assert truth_of(tmp_path, "frame,x,y,w,h\n")[0].shape == (0, 4)


@pytest.mark.parametrize("text", ["0,1,0,8", "0\n1\n0\n8\n", "0.0 1.0 0.0 8.0\r\n"])
def test_numbers(text, tmp_path):
    path = tmp_path / "some.label"
    path.write_text(text)
    assert read_numbers(path) == (0, 1, 0, 8)


def test_no_numbers(tmp_path):
    path = tmp_path / "some.label"
    path.write_text("0\nyes\n")
    with pytest.raises(ValueError, match=r"some.label: not a list of numbers"):
        read_numbers(path)
