"""Sequences: their frames, what is said of broken ones, and of folders without any."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from tiny_datasets import (
    BOXES,
    NAN,
    levels,
    only,
    write_bytes,
    write_images,
    write_rows,
    write_video,
    write_vot,
)

from siamcorr.data import Sequence, find_sequences, sequences
from siamcorr.media import SourceError
from siamcorr.tracking import box_around

# frames


def test_frames_come_in_natural_order_and_without_what_is_no_frame(tmp_path):
    for number in (10, 9, 100):
        write_images(tmp_path / "a", 1, number, "img{}.png")
    (tmp_path / "a" / "._img9.png").write_bytes(b"what macOS leaves in archives")
    write_rows(tmp_path / "a" / "groundtruth.txt")
    assert levels(only(tmp_path, "vot")) == [9, 10, 100]


def test_frames_are_rgb_and_read_when_asked_for(tmp_path):
    write_vot(tmp_path, "a")
    red = cv2.imencode(".png", np.full((12, 16, 3), (0, 0, 255), np.uint8))[1]
    (tmp_path / "a" / "00000001.jpg").write_bytes(red.tobytes())
    for name, content in (("2", b""), ("3", b"no image")):
        (tmp_path / "a" / f"0000000{name}.jpg").write_bytes(content)
    frames = iter(only(tmp_path, "vot"))
    frame = next(frames)
    assert (frame.shape, frame.dtype, frame[0, 0].tolist()) == ((12, 16, 3), np.uint8, [255, 0, 0])
    with pytest.raises(SourceError, match=r"00000002.jpg: not a readable image"):
        next(frames)


def test_video_that_is_shorter_or_longer_than_its_boxes(tmp_path):
    write_video(tmp_path / "clip.avi", 6)
    boxes = np.zeros((8, 4))
    assert len(list(Sequence("clip", tmp_path / "clip.avi", boxes[:5]))) == 5
    frames = iter(Sequence("clip", tmp_path / "clip.avi", boxes))
    for _ in range(6):
        next(frames)
    with pytest.raises(SourceError, match=r"clip.avi: ended after 6 of 8 frames"):
        next(frames)


@pytest.mark.parametrize(("rows", "length"), [(9, 9), (3, 6)])
def test_length_of_a_video_is_counted_unless_two_agree_on_it(rows, length, tmp_path, monkeypatch):
    class Source(list):
        frame_count = 9  # a container may claim more than it has

        def close(self):
            pass

    monkeypatch.setattr(sequences, "open_source", lambda path: Source(range(6)))
    write_video(tmp_path / "clip.avi", 6)
    write_rows(tmp_path / "clip.txt", [BOXES[0]] * rows)
    assert len(only(tmp_path, "plain")) == length


def test_frame_missing_inside_a_video(tmp_path, monkeypatch):
    class Source(list):
        def close(self):
            pass

    frames = [SimpleNamespace(index=index, image=index) for index in (0, 2)]
    monkeypatch.setattr(sequences, "open_source", lambda path: Source(frames))
    with pytest.raises(SourceError, match="clip: frame 1 cannot be read"):
        list(Sequence("clip", Path("clip"), np.zeros((3, 4))))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"boxes": np.zeros((3, 5))}, r"boxes must be \(N, 4\), got \(3, 5\)"),
        ({"boxes": np.zeros(4)}, r"boxes must be \(N, 4\), got \(4,\)"),
        ({"polygons": np.zeros((2, 8))}, r"polygons must be \(3, 8\), got \(2, 8\)"),
        ({"boxes": np.zeros((2, 4))}, r"3 frames for boxes \(2, 4\)"),
    ],
)
def test_what_does_not_fit_is_no_sequence(change, why):
    with pytest.raises(ValueError, match=f"^Sequence: {why}"):
        Sequence(**{"name": "a", "frames": (Path(),) * 3, "boxes": np.zeros((3, 4))} | change)


# broken ones


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda a: (a / "groundtruth.txt").unlink(), "no ground truth groundtruth.txt"),
        (lambda a: [path.unlink() for path in a.glob("*.jpg")], "no images in .*a"),
        (lambda a: (a / "color").mkdir(), "no images in .*color"),
        (lambda a: write_bytes(a / "groundtruth.txt", b"1,2,3,4\nx\n"), "line 2 is no region: 'x'"),
        (lambda a: write_bytes(a / "groundtruth.txt", b"\xff\xfe1\x00"), "'utf-8' codec"),
        (lambda a: write_bytes(a / "groundtruth.txt", b""), "no annotated frame"),
        (lambda a: write_bytes(a / "groundtruth.txt", b"nan,nan,nan,nan\n"), "no annotated frame"),
        (lambda a: write_bytes(a / "blur.tag", b"yes"), "blur.tag: not a list of numbers"),
    ],
)
def test_broken_sequence_is_left_out(spoil, why, tmp_path):
    write_vot(tmp_path, "a", "b")
    spoil(tmp_path / "a")
    with pytest.warns(UserWarning, match=f"^a: .*{why}.*, left out") as warned:
        assert [sequence.name for sequence in find_sequences(tmp_path)] == ["b"]
    assert [Path(warning.filename).name for warning in warned] == [Path(__file__).name]


def test_broken_in_the_other_layouts(tmp_path):
    uav, otb, lasot, plain = (tmp_path / name for name in ("uav", "otb", "lasot", "plain"))
    write_images(uav / "data_seq" / "UAV123" / "b")
    write_images(uav / "data_seq" / "UAV123" / "bike2")
    write_rows(uav / "anno" / "UAV123" / "b.txt")
    for name in "bc":
        write_images(lasot / name / "img")
    write_rows(lasot / "b" / "groundtruth.txt")
    write_rows(lasot / "b" / "out_of_view.txt", [(0, 0, 0)])
    write_images(otb / "b" / "img")
    write_rows(otb / "b" / "groundtruth_rect.txt")
    write_images(otb / "c" / "img")
    (otb / "results").mkdir()
    plain.mkdir()
    for name in "bcd":
        write_video(plain / f"{name}.avi", 3)
    write_rows(plain / "b.txt")
    write_rows(plain / "d.csv")
    (plain / "d.avi").write_bytes(b"no video")
    expected = {
        uav: ["bike2: no ground truth bike2.txt, left out"],
        lasot: ["c: no ground truth groundtruth.txt, left out"],
        otb: ["c: no ground truth groundtruth_rect.txt, left out"],
        plain: [
            "c: no ground truth c.txt, left out",
            f"d: {plain / 'd.avi'}: not a video, left out",
        ],
    }
    for folder, texts in expected.items():
        with pytest.warns(UserWarning, match="left out") as warned:
            assert [sequence.name for sequence in find_sequences(folder)] == ["b"]
        assert [str(warning.message) for warning in warned] == texts


def test_boxes_after_the_last_frame_are_cut(tmp_path):
    corners = [(2, 1, 8, 3, 7, 9, 1, 7)] * 3
    write_images(tmp_path / "a", 2)
    write_rows(tmp_path / "a" / "groundtruth.txt", corners)
    with pytest.warns(UserWarning, match=r"^a: ground truth has 3 rows for 2 frames") as warned:
        (sequence,) = find_sequences(tmp_path)
    assert Path(warned[0].filename).name == Path(__file__).name
    assert len(sequence) == len(sequence.boxes) == len(sequence.polygons) == 2


def test_boxes_only_after_the_last_frame_are_none(tmp_path):
    write_vot(tmp_path, "a", "b")
    write_rows(tmp_path / "a" / "groundtruth.txt", [NAN, NAN, NAN, (1, 2, 3, 4)])
    with pytest.warns(UserWarning, match=r"^a: no annotated frame, left out"):
        assert len(find_sequences(tmp_path)) == 1


@pytest.mark.parametrize("layout", [None, "vot"])
def test_none_can_be_used(layout, tmp_path):
    write_vot(tmp_path, "a", "b", count=0)
    with (
        pytest.warns(UserWarning, match="no images") as warned,
        pytest.raises(ValueError, match="2 vot sequences, none can be used"),
    ):
        find_sequences(tmp_path, layout)
    assert len(warned) == 2


def test_nothing_found(tmp_path):
    write_images(tmp_path / "a")
    write_video(tmp_path / "clip.avi")
    looked = (
        r"looked for anno/UAV123/NAME.txt \(uav123\); .* NAME/groundtruth.txt \(vot\); NAME.mp4"
    )
    with pytest.raises(ValueError, match=looked):
        find_sequences(tmp_path)
    with pytest.raises(ValueError, match=r"no sequences found, looked for .*_rect.txt \(otb\)$"):
        find_sequences(tmp_path, "otb")
    with pytest.raises(ValueError, match=r"layout must be one of uav123, otb, .*: 'OTB'"):
        find_sequences(tmp_path, "OTB")
    for path in ("gone", "clip.avi"):
        with pytest.raises(ValueError, match=f"{path}: no such folder"):
            find_sequences(tmp_path / path)


@pytest.mark.video
def test_real_sequences(shared):
    bag, skater = find_sequences(shared / "sequences")
    assert (bag.name, len(bag), skater.name, len(skater)) == ("bag", 196, "iceskater1", 661)
    for sequence in (bag, skater):
        text = (shared / "sequences" / sequence.name / "groundtruth.txt").read_text()
        corners = [float(value) for value in text.splitlines()[0].split(",")]
        assert sequence.boxes[0].tolist() == pytest.approx(box_around(corners))
        assert sequence.polygons[0].tolist() == corners
        assert not np.isnan(sequence.boxes).any()
    assert sum(frame.shape == (360, 480, 3) for frame in bag) == 196
