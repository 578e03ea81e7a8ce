"""`siamcorr eval` with broken data: results and reported problems."""

import re

import pytest
from cli.conftest import FRAMES, rows

pytest.importorskip("matplotlib")


def spoiled_frame(folder):
    (folder / "img" / "0003.png").write_bytes(b"no image")


def missing_frame(folder):
    (folder / "img" / "0003.png").unlink()


def rewritten(change):
    """The lines of the truth after a change."""

    def spoil(folder):
        path = folder / "groundtruth_rect.txt"
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoiled_frame, r"still on left: .*0003\.png: not a readable image"),
        (missing_frame, r"left: image 3 is missing in .*img, left out"),
        (rewritten(lambda lines: [*lines[:2], "1,2,x,4", *lines[3:]]),
         "left: groundtruth_rect.txt: line 3 is not a region: '1,2,x,4', left out"),
        (rewritten(lambda lines: ["nan,nan,nan,nan"] * len(lines)),
         "left: no annotated frame, left out"),
        (rewritten(lambda lines: ["0,0,0,0", *lines[1:]]),
         "still on left: frame 0 has no box to start from"),
        (rewritten(lambda lines: ["9000,9000,5,5", *lines[1:]]),
         "still on left: box 9000,9000,5,5 lies outside the 160x120 frame"),
        (lambda folder: (folder / "img" / "0003.png").rename(folder / "img" / "0009.png"), None),
        (rewritten(lambda lines: lines[:4]), None),
        (rewritten(lambda lines: [*lines[:2], "nan,nan,nan,nan", "5,5,0,9", *lines[4:]]), None),
    ],
)  # fmt: skip
def test_broken_sequences_stop_no_other(still, data, tmp_path, spoil, told):
    """And what benchmarks have, too, boxes that are missing or empty, costs nothing."""
    spoil(data / "left")
    code, out, err = still("--failures")
    assert (code, "Warning" in err) == (0, False)
    told_lines = [line for line in out.splitlines() if line.startswith("siamcorr: ")]
    names = [row["sequence"] for row in rows(tmp_path / "out" / "sequences.csv")]
    page = (tmp_path / "out" / "report.html").read_text()
    if told is None:
        assert (told_lines, names) == ([], ["left", "right"])
        assert "Problems" not in page
    else:
        (line,) = told_lines
        assert re.fullmatch(f"siamcorr: {told}", line)
        assert names == ["right"]
        assert "<h2>Problems</h2>\n<ul><li>" in page


def test_boxes_after_the_last_frame_are_reported(still, data, tmp_path):
    (data / "left" / "img" / f"{FRAMES:04d}.png").unlink()
    _, out, _ = still()
    text = f"siamcorr: left: ground truth has {FRAMES} rows for {FRAMES - 1} frames, cut"
    assert text in out.splitlines()
    frames = {row["sequence"]: row["frames"] for row in rows(tmp_path / "out" / "sequences.csv")}
    assert frames == {"left": str(FRAMES - 1), "right": str(FRAMES)}


@pytest.mark.parametrize(
    ("frame", "told", "scored"),
    [(1, "not scored", ["right"]), (3, "not shown", ["left", "right"])],
)
def test_a_frame_that_broke_after_tracking(still, data, tmp_path, frame, told, scored):
    """Results are there already, but not what the page shows of it."""
    still()
    for number in range(frame, FRAMES + 1):
        (data / "left" / "img" / f"{number:04d}.png").write_bytes(b"no image")
    code, out, _ = still()
    assert code == 0
    assert re.search(rf"(?m)^siamcorr: left: .*\.png: not a readable image, {told}$", out)
    names = [row["sequence"] for row in rows(tmp_path / "out" / "sequences.csv")]
    assert names == scored
    page = (tmp_path / "out" / "report.html").read_text()
    assert "frames of left" not in page
    assert f"not a readable image, {told}</li>" in page


def test_reasons_when_no_sequence_can_be_used(still, data):
    for name in ("left", "right"):
        (data / name / "groundtruth_rect.txt").write_text("one two\n")
    code, out, err = still()
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0] == (
        "siamcorr: left: groundtruth_rect.txt: line 1 is not a region: 'one two', left out"
    )
    assert lines[-1] == f"siamcorr: {data}: 2 otb sequences, none can be used"
    assert len(lines) == 3
