"""Layouts: a tiny dataset in every published layout, found and read."""

import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import BOXES, NAN, levels, only, write_images, write_rows, write_video, write_vot

from siamcorr.data import find_sequences
from siamcorr.data.datasets.layouts import UAV123_FIRST


@pytest.mark.parametrize("subset", ["train", "val", "."])
def test_got10k(subset, tmp_path):
    folder = tmp_path / subset / "GOT-10k_000001"
    write_images(folder, 5)
    write_rows(folder / "groundtruth.txt", [*BOXES, (0, 0, 0, 0), (4, 4, 4, 4)])
    write_rows(folder / "absence.label", [(0,), (1,), (0,), (0,), (0,)])
    write_rows(folder / "cover.label", [(8,), (8,), (1,), (0,), (0,)])
    write_rows(folder / "cut_by_image.label", [(0,), (0,), (1,), (0,), (0,)])
    (tmp_path / subset / "list.txt").write_text("GOT-10k_000001\n")
    sequence = only(tmp_path, "got10k")
    assert sequence.name == "GOT-10k_000001"
    assert levels(sequence) == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(sequence.boxes, [BOXES[0], NAN, BOXES[2], NAN, NAN])
    assert sequence.polygons is None
    assert sequence.attributes == {
        "absence": (False, True, False, False, False),
        "occlusion": (False, False, True, False, False),  # partly visible
        "cut_by_image": (False, False, True, False, False),
    }


def test_got10k_test_set_has_one_box(tmp_path):
    folder = tmp_path / "test" / "GOT-10k_Test_000001"
    write_images(folder, 3)
    write_rows(folder / "groundtruth.txt", BOXES[:1])
    for root in (tmp_path, tmp_path / "test"):
        np.testing.assert_array_equal(only(root, "got10k").boxes, [BOXES[0], NAN, NAN])
    write_rows(folder / "absence.label", [(0,), (0,), (1,)])
    assert only(tmp_path, "got10k").attributes["absence"] == (False, False, True)


def test_list_names_the_sequences(tmp_path):
    write_vot(tmp_path, "b", "a", "left-out")
    (tmp_path / "list.txt").write_text("b\n\n a\ngone\n", encoding="utf-8-sig")
    with pytest.warns(UserWarning, match=r"^gone: no ground truth groundtruth.txt, left out"):
        found = find_sequences(tmp_path)
    assert [sequence.name for sequence in found] == ["a", "b"]


@pytest.mark.parametrize("parent", ["zebra", "."])
@pytest.mark.parametrize("labels", [True, False])
def test_lasot(parent, labels, tmp_path):
    folder = tmp_path / parent / "zebra-1"
    write_images(folder / "img")
    write_rows(folder / "groundtruth.txt")
    if labels:
        write_rows(folder / "full_occlusion.txt", [(0, 1, 0)])
        write_rows(folder / "out_of_view.txt", [(0, 0, 1)])
    layout = "vot" if parent == "." and not labels else "lasot"  # no difference in this case
    sequence = only(tmp_path, layout)
    assert (sequence.name, levels(sequence)) == ("zebra-1", [1, 2, 3])
    expected = [BOXES[0], NAN, NAN] if labels else BOXES
    np.testing.assert_array_equal(sequence.boxes, expected)
    flags = {"full_occlusion": (False, True, False), "out_of_view": (False, False, True)}
    assert sequence.attributes == (flags if labels else {})


@pytest.mark.parametrize("mark", [",", "\t", " ", ", "])
def test_otb(mark, tmp_path):
    write_images(tmp_path / "Boy" / "img", name="{:04d}.jpg")
    write_rows(tmp_path / "Boy" / "groundtruth_rect.txt", mark=mark)
    sequence = only(tmp_path, "otb")
    assert (sequence.name, levels(sequence)) == ("Boy", [1, 2, 3])
    np.testing.assert_array_equal(sequence.boxes, BOXES)  # unchanged, although counted from 1


def test_otb_targets(tmp_path):
    for name in ("Jogging", "Human4"):
        write_images(tmp_path / name / "img", name="{:04d}.jpg")
        write_rows(tmp_path / name / "groundtruth_rect.1.txt", BOXES if name == "Jogging" else [])
        write_rows(tmp_path / name / "groundtruth_rect.2.txt", BOXES[::-1])
    found = find_sequences(tmp_path)
    assert [sequence.name for sequence in found] == ["Human4", "Jogging.1", "Jogging.2"]
    first_boxes = [tuple(sequence.boxes[0]) for sequence in found]
    assert first_boxes == [BOXES[2], BOXES[0], BOXES[2]]


@pytest.mark.parametrize("first", [298, 300, 1])
def test_otb_david_begins_at_its_300th_image(first, tmp_path):
    """Unless the images have been renumbered."""
    count = 304 - first if first > 1 else 4
    write_images(tmp_path / "David" / "img", count, first, "{:04d}.png")
    write_rows(tmp_path / "David" / "groundtruth_rect.txt", [*BOXES, (4, 2, 3, 5)])
    files = [path.stem for path in only(tmp_path, "otb").frames]
    assert files == [f"{number:04d}" for number in range(1 if first == 1 else 300, first + count)]


@pytest.mark.parametrize("inner", ["color", "img", "."])
def test_vot_with_corners_and_tags(inner, tmp_path):
    corners = [(2, 1, 8, 3, 7, 9, 1, 7), (math.nan,) * 8, (2, 1, 8, 3, 7, 9, 1, 5)]
    write_images(tmp_path / "bag" / inner)
    write_rows(tmp_path / "bag" / "groundtruth.txt", corners)
    write_rows(tmp_path / "bag" / "occlusion.tag", [(0,), (1,)])
    write_rows(tmp_path / "bag" / "motion_change.label", [(1,), (0,), (1,), (1,)])
    write_rows(tmp_path / "bag" / "night.tag", [(1,)])
    sequence = only(tmp_path, "vot")
    assert (sequence.name, levels(sequence)) == ("bag", [1, 2, 3])
    np.testing.assert_array_equal(sequence.boxes, [(1, 1, 7, 8), NAN, (1, 1, 7, 8)])
    np.testing.assert_array_equal(sequence.polygons, corners)
    assert sequence.attributes == {
        "occlusion": (False, True, False),
        "motion_change": (True, False, True),
        "night": (True,),  # a single flag for the sequence
    }


def test_vot_with_rectangles_and_masks(tmp_path):
    write_images(tmp_path / "a" / "color")
    (tmp_path / "a" / "groundtruth.txt").write_text("m10,20,4,3,5,2,2,1\n1,2,3,4\nm0,0,2,2,4\n")
    sequence = only(tmp_path, "vot")
    np.testing.assert_array_equal(sequence.boxes, [(11, 21, 2, 2), (1, 2, 3, 4), NAN])
    assert sequence.polygons is None


def test_vot_with_a_video(tmp_path):
    write_rows(tmp_path / "é" / "groundtruth.txt", BOXES)
    write_video(tmp_path / "é" / "é.avi", 6)
    sequence = only(tmp_path, "vot")
    assert sequence.frames == tmp_path / "é" / "é.avi"
    assert len(sequence) == 6  # not the three of the ground truth
    np.testing.assert_array_equal(sequence.boxes, [*BOXES, NAN, NAN, NAN])
    for _ in range(2):
        assert levels(sequence) == pytest.approx([0, 40, 80, 120, 160, 200], abs=3)


def test_uav123(tmp_path):
    images, truths = tmp_path / "data_seq" / "UAV123", tmp_path / "anno" / "UAV123"
    write_images(images / "car1_s", name="{:06d}.jpg")
    write_images(images / "bird1", 5, 773, name="{:06d}.jpg")
    write_images(images / "car9", name="{:06d}.jpg")
    write_images(images / "car9_3", 2, 7, name="{:06d}.jpg")
    write_rows(truths / "car1_s.txt", [BOXES[0], NAN, BOXES[2]])
    write_rows(truths / "bird1_2.txt", BOXES[:2])
    write_rows(truths / "car9_1.txt", BOXES[:2])
    write_rows(truths / "car9_3.txt", BOXES[:2])
    found = find_sequences(tmp_path)
    assert [sequence.layout for sequence in found] == ["uav123"] * 4
    np.testing.assert_array_equal(found[1].boxes, [BOXES[0], NAN, BOXES[2]])
    assert {sequence.name: [path.stem for path in sequence.frames] for sequence in found} == {
        "bird1_2": ["000775", "000776"],  # a part of bird1, from its first image
        "car1_s": ["000001", "000002", "000003"],
        "car9_1": ["000001", "000002"],
        "car9_3": ["000007", "000008"],  # not a part: it has its own images
    }


def test_same_boxes_as_the_got10k_toolkit(tmp_path):
    datasets = pytest.importorskip("got10k.datasets")
    rng = np.random.default_rng(0)
    for name in ("val/GOT-10k_Val_000001", "Boy/img", "David3/img", "Jogging/img"):
        write_images(tmp_path / name, 4, name="{:04d}.jpg")
    for name, mark in (("val/GOT-10k_Val_000001/groundtruth", ","), ("Boy/groundtruth_rect", "\t"),
        ("David3/groundtruth_rect", ","), ("Jogging/groundtruth_rect.1", " "),
        ("Jogging/groundtruth_rect.2", ",")):  # fmt: skip
        write_rows(tmp_path / f"{name}.txt", rng.uniform(1, 9, (4, 4)).round(3).tolist(), mark)
    (tmp_path / "val" / "list.txt").write_text("GOT-10k_Val_000001\n")
    otb = datasets.OTB(str(tmp_path), 2013, download=False)
    got10k = datasets.GOT10k(str(tmp_path), "val")
    for layout, toolkit in (("otb", otb), ("got10k", got10k)):
        ours = find_sequences(tmp_path, layout)
        assert [sequence.name for sequence in ours] == toolkit.seq_names
        for sequence, (files, boxes) in zip(ours, toolkit, strict=True):
            assert [str(path) for path in sequence.frames] == files
            np.testing.assert_array_equal(sequence.boxes, boxes)


def test_uav123_parts_begin_where_the_toolkit_says():
    spec = find_spec("got10k")
    if spec is None:
        pytest.skip("got10k is not installed")
    folder = Path(spec.submodule_search_locations[0])
    entries = json.loads((folder / "datasets" / "uav123.json").read_text())["UAV123"]
    firsts = {name: entry["start_frame"] for name, entry in entries.items()}
    assert {name: first for name, first in firsts.items() if first != 1} == UAV123_FIRST


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("clip.csv", "frame,x,y,w,h\n1,1,2,3,4\n2,2,2,3,4\n"),
        ("clip.csv", "frame,time,x,y,w,h,score\n1,0,1,2,3,4,1\n2,0,2,2,3,4,1\n"),
        ("clip.txt", "frame x y w h\n1 1 2 3 4\n2 2 2 3 4\n"),
        ("clip.txt", "nan,nan,nan,nan\n1,2,3,4\n2,2,3,4\n"),
    ],
)
def test_plain(file, text, tmp_path):
    write_video(tmp_path / "clip.avi", 4)
    (tmp_path / file).write_text(text)
    sequence = only(tmp_path, "plain")
    assert (sequence.name, len(levels(sequence))) == ("clip", 4)
    np.testing.assert_array_equal(sequence.boxes, [NAN, *BOXES[:2], NAN])


def test_otb_ends_with_its_boxes(tmp_path):
    """Freeman4 and others have images after the last box; they are not evaluated."""
    write_images(tmp_path / "Freeman4" / "img", 5, name="{:04d}.jpg")
    write_rows(tmp_path / "Freeman4" / "groundtruth_rect.txt")
    assert levels(only(tmp_path, "otb")) == [1, 2, 3]


def test_layout_can_be_chosen(tmp_path):
    write_vot(tmp_path, "a")
    write_video(tmp_path / "clip.avi", 3)
    write_rows(tmp_path / "clip.txt")
    assert [sequence.name for sequence in find_sequences(tmp_path)] == ["a"]
    assert [sequence.name for sequence in find_sequences(tmp_path, "plain")] == ["clip"]
