"""Sequences: their frames, and errors for broken ones and for empty folders."""

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

from siamcorr.data import Sequence, find_sequences
from siamcorr.data.datasets import frame_files, sequences
from siamcorr.media import SourceError
from siamcorr.tracking import box_around

# frames


def test_frames_are_in_natural_order_without_other_files(tmp_path):
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
    images = iter(only(tmp_path, "vot"))
    frame = next(images)
    assert (frame.shape, frame.dtype, frame[0, 0].tolist()) == ((12, 16, 3), np.uint8, [255, 0, 0])
    with pytest.raises(SourceError, match=r"00000002.jpg: not a readable image"):
        next(images)


def test_video_that_is_shorter_or_longer_than_its_boxes(tmp_path):
    write_video(tmp_path / "clip.avi", 6)
    boxes = np.zeros((8, 4))
    assert len(list(Sequence("clip", tmp_path / "clip.avi", boxes[:5]))) == 5
    images = iter(Sequence("clip", tmp_path / "clip.avi", boxes))
    for _ in range(6):
        next(images)
    with pytest.raises(SourceError, match=r"clip.avi: ended after 6 of 8 frames"):
        next(images)


@pytest.mark.parametrize(("rows", "length"), [(9, 9), (3, 6)])
def test_length_of_a_video_is_counted_unless_two_agree_on_it(rows, length, tmp_path, monkeypatch):
    class Source(list):
        frame_count = 9  # a container may claim more than it has

        def close(self):
            pass

    monkeypatch.setattr(frame_files, "open_source", lambda path: Source(range(6)))
    write_video(tmp_path / "clip.avi", 6)
    write_rows(tmp_path / "clip.txt", [BOXES[0]] * rows)
    assert len(only(tmp_path, "plain")) == length


def test_frame_missing_inside_a_video(tmp_path, monkeypatch):
    class Source(list):
        def close(self):
            pass

    found = [SimpleNamespace(index=index, image=index) for index in (0, 2)]
    monkeypatch.setattr(sequences, "open_source", lambda path: Source(found))
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
def test_shapes_that_do_not_match(change, why):
    with pytest.raises(ValueError, match=f"^Sequence: {why}"):
        Sequence(**{"name": "a", "frames": (Path(),) * 3, "boxes": np.zeros((3, 4))} | change)


def test_frame_size(tmp_path):
    write_vot(tmp_path, "a")
    write_video(tmp_path / "clip.avi", 3)
    assert only(tmp_path, "vot").frame_size() == (12, 16)
    assert Sequence("clip", tmp_path / "clip.avi", np.zeros((3, 4))).frame_size() == (12, 16)
    with pytest.raises(SourceError, match="none: has no frames"):
        Sequence("none", (), np.zeros((0, 4))).frame_size()


# broken ones


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda a: (a / "groundtruth.txt").unlink(), "no ground truth groundtruth.txt"),
        (lambda a: [path.unlink() for path in a.glob("*.jpg")], "no images in .*a"),
        (lambda a: (a / "color").mkdir(), "no images in .*color"),
        (
            lambda a: write_bytes(a / "groundtruth.txt", b"1,2,3,4\nx\n"),
            "line 2 is not a region: 'x'",
        ),
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


UAV = "data_seq/UAV123"


@pytest.mark.parametrize(
    ("layout", "folder", "truth", "images", "missing"),
    [
        ("vot", "a", "a/groundtruth.txt", [1, 3, 4], 2),
        ("vot", "a", "a/groundtruth.txt", [0, 1, 3], 2),
        ("vot", "a", "a/groundtruth.txt", [2, 3, 4], 1),
        ("vot", "a", "a/groundtruth.txt", [1, 2, 4, 5, 6], 3),  # in which boxes end earlier
        ("vot", "a", "a/groundtruth.txt", [10, 20, 40], 30),
        ("vot", "a/color", "a/groundtruth.txt", [1, 2, 4], 3),
        ("otb", "a/img", "a/groundtruth_rect.txt", [1, 2, 4], 3),
        ("otb", "David/img", "David/groundtruth_rect.txt", [298, 299, 301, 302, 303], 300),
        ("lasot", "a/a-1/img", "a/a-1/groundtruth.txt", [1, 3, 4], 2),
        ("got10k", "val/a", "val/a/groundtruth.txt", [1, 2, 4], 3),
        ("uav123", f"{UAV}/a", "anno/UAV123/a.txt", [1, 2, 4], 3),
        ("uav123", f"{UAV}/bird1", "anno/UAV123/bird1_2.txt", [774, 775, 777, 778, 779], 776),
        ("uav123", f"{UAV}/bird1", "anno/UAV123/bird1_2.txt", [774, 776, 777, 778, 779], 775),
        ("uav123", f"{UAV}/bird1", "anno/UAV123/bird1_2.txt", [1, 2], 775),
    ],
)
def test_missing_image_is_named(layout, folder, truth, images, missing, tmp_path):
    """A missing image would shift the boxes of all later images."""
    for number in images:
        write_images(tmp_path / folder, 1, number)
    write_rows(tmp_path / truth, [BOXES[0]] * 4)
    if layout == "lasot":
        write_rows(tmp_path / "a/a-1/out_of_view.txt", [(0,)])
    with (
        pytest.warns(UserWarning, match=rf": image {missing} is missing in .*, left out"),
        pytest.raises(ValueError, match=f"1 {layout} sequences, none can be used"),
    ):
        find_sequences(tmp_path)


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["1", "2", "4"], 3),  # as many as boxes: one is missing in both
        (["1", "2", "3", "5"], 3),  # after the last box
        (["a", "b", "d", "e"], 3),
        (["1a", "1b", "3", "4"], 3),
        (["7", "8", "9", "10"], 3),
        (["2", "4", "6", "8"], 3),
    ],
)
def test_no_image_is_missing(names, rows, tmp_path):
    for name in names:
        write_images(tmp_path / "a", 1, 1, f"{name}.jpg")
    write_rows(tmp_path / "a" / "groundtruth.txt", [BOXES[0]] * rows)
    assert len(only(tmp_path, "vot")) == len(names)


@pytest.mark.parametrize("nowhere", ["nan,nan,nan,nan", "0,0,0,0", "5,5,0,7", "1,1,inf,2"])
def test_a_frame_without_a_box_in_the_middle_keeps_its_place(nowhere, tmp_path):
    layouts = {"vot": ("a", "groundtruth.txt"), "otb": ("a/img", "../groundtruth_rect.txt"),
               "got10k": ("val/a", "groundtruth.txt")}  # fmt: skip
    for layout, (folder, truth) in layouts.items():
        write_images(tmp_path / layout / folder)
        path = tmp_path / layout / folder / truth
        write_bytes(path, f"1,2,3,4\n{nowhere}\n2,2,3,4\n".encode())
        sequence = only(tmp_path / layout, layout)
        np.testing.assert_array_equal(sequence.boxes, [(1, 2, 3, 4), NAN, (2, 2, 3, 4)])


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
