"""Attributes of frames and of sequences, in the formats of benchmarks."""

import re

import pytest
from tiny_datasets import BOXES, only, write_images, write_rows

from siamcorr.data import find_sequences
from siamcorr.data.datasets.attributes import (
    GOT10K,
    LASOT,
    NAMES,
    OTB,
    UAV123,
    About,
    attributes_of,
    read_about,
)


def held(attributes):
    """Names of the attributes that are set for the whole sequence."""
    return {name for name, flags in attributes.items() if flags == (True,)}


def about(path, text, columns, keys=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return About(path, columns, keys)


@pytest.mark.parametrize(("columns", "count"), [(UAV123, 12), (OTB, 11), (LASOT, 14)])
def test_every_column_has_its_own_name(columns, count):
    assert len({NAMES[code] for code in columns}) == count


@pytest.mark.parametrize(
    ("columns", "text", "names"),
    [
        # airplane-1 of LaSOT, as in its toolkit
        (
            LASOT,
            "0,1,0,0,0,1,0,0,1,0,0,0,1,0\n",
            {"partial occlusion", "rotation", "scale variation", "low resolution"},
        ),
        (UAV123, "1,0,0,0,1,0,0,0,0,0,0,1", {"scale variation", "full occlusion",
                                             "similar object"}),
        (OTB, "1 1 0 0 0 0 0 0 0 0 1", {"illumination variation", "out-of-plane rotation",
                                        "low resolution"}),
        # Crossing and Car4 of OTB
        (OTB, "SV, DEF, FM, OPR, BC", {"scale variation", "deformation", "fast motion",
                                      "out-of-plane rotation", "background clutter"}),
        (OTB, "IV ,SV,\n", {"illumination variation", "scale variation"}),
        (OTB, "", set()),
    ],
)  # fmt: skip
def test_flags_and_codes(columns, text, names, tmp_path):
    found = read_about(about(tmp_path / "a.txt", text, columns))
    assert {name for name, holds in found.items() if holds} == names
    assert list(found) == [NAMES[code] for code in columns]


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (("jogging-2", "jogging"), {"occlusion"}),
        (("human4-1", "human4"), {"deformation"}),
        (("mhyang",), set()),
        (("bird1",), None),
    ],
)
def test_one_line_per_sequence(keys, names, tmp_path):
    text = "Jogging\tMB, FM\nJogging-2\tOCC\n\nHuman4\tDEF\nMhyang\n"
    found = read_about(about(tmp_path / "attr_list.txt", text, OTB, keys))
    assert (found == {}) == (names is None)
    assert {name for name, holds in found.items() if holds} == (names or set())


def test_meta_info(tmp_path):
    text = (
        "[METAINFO]\nurl: https://youtu.be/P-fKM\nanno_fps: 10Hz\nobject_class: ctenophore\n"
        "motion_class: swimming\nmajor_class: invertebrate\nroot_class: animal\n"
    )
    expected = {"root_class: animal": True, "motion_class: swimming": True}
    assert read_about(about(tmp_path / "meta_info.ini", text, GOT10K)) == expected
    assert read_about(about(tmp_path / "meta_info.ini", "[METAINFO]\n", GOT10K)) == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0,1,0", "a.txt: must have 11 flags, got 3"),
        ("0,1,0,1,0,1,0,1,0,1,2", "a.txt: must be of IV, OPR, .*, LR, got '0'"),
        ("IV, ARC", "a.txt: must be of .*, got 'ARC'"),
    ],
)
def test_no_attributes(text, why, tmp_path):
    with pytest.raises(ValueError, match=f"^{why}"):
        read_about(about(tmp_path / "a.txt", text, OTB))


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"blur": (0, 1)}, {"blur": (False, True, False)}),
        ({"blur": (0, 1, 1, 1, 1)}, {"blur": (False, True, True)}),
        ({"night": (1,)}, {"night": (True,)}),
        ({"cover": (0, 1, 7)}, {"occlusion": (False, True, True)}),
        ({"cover": (8, 8)}, {"occlusion": (False, False, False)}),
        ({}, {}),
    ],
)
def test_flags_of_frames(levels, expected):
    assert attributes_of(levels, None, 3) == expected


# in their layouts


def test_uav123(tmp_path):
    for name in ("car1", "car2"):
        write_images(tmp_path / "data_seq" / "UAV123" / name, name="{:06d}.jpg")
        write_rows(tmp_path / "anno" / "UAV123" / f"{name}.txt")
    about(tmp_path / "anno/UAV123/att/car1.txt", "0,0,1,0,0,0,0,0,0,0,0,0", UAV123)
    first, second = find_sequences(tmp_path)
    assert held(first.attributes) == {"low resolution"}
    assert second.attributes == {}


@pytest.mark.parametrize("inner", ["att", "annos/att"])
@pytest.mark.parametrize("parent", ["zebra", "."])
def test_lasot(inner, parent, tmp_path):
    folder = tmp_path / parent / "zebra-1"
    write_images(folder / "img")
    write_rows(folder / "groundtruth.txt")
    write_rows(folder / "out_of_view.txt", [(0, 0, 1)])
    about(tmp_path / inner / "zebra-1.txt", ",".join("00000000000001"), LASOT)
    attributes = only(tmp_path, "lasot").attributes
    assert held(attributes) == {"aspect ratio change"}
    assert attributes["out_of_view"] == (False, False, True)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Jogging/attrs.txt", "OCC"),
        ("anno/att/jogging-1.txt", "0,0,0,1,0,0,0,0,0,0,0"),
        ("anno/att/jogging.txt", "0,0,0,1,0,0,0,0,0,0,0"),
        ("attr_list.txt", "Jogging-2\tMB\nJogging-1\tOCC\n"),
        ("attr_list.txt", "Jogging\tOCC\n"),
    ],
)
def test_otb(path, text, tmp_path):
    write_images(tmp_path / "Jogging" / "img", name="{:04d}.jpg")
    for number in (1, 2):
        write_rows(tmp_path / "Jogging" / f"groundtruth_rect.{number}.txt")
    about(tmp_path / path, text, OTB)
    first, second = find_sequences(tmp_path)
    assert first.name == "Jogging.1"
    assert held(first.attributes) == {"occlusion"}
    expected = {"anno/att/jogging-1.txt": set(), "attr_list.txt": {"motion blur"}}
    if "-" in path + text:
        assert held(second.attributes) == expected[path]


def test_got10k(tmp_path):
    folder = tmp_path / "val" / "a"
    write_images(folder)
    write_rows(folder / "groundtruth.txt")
    write_rows(folder / "cover.label", [(8,), (4,), (8,)])
    about(folder / "meta_info.ini", "[METAINFO]\nroot_class: person\n", GOT10K)
    sequence = only(tmp_path, "got10k")
    assert sequence.attributes == {
        "occlusion": (False, True, False),
        "root_class: person": (True,),
    }
    assert len(sequence.boxes) == len(BOXES)


def test_error_names_the_broken_file(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / name / "img")
        write_rows(tmp_path / name / "groundtruth_rect.txt")
    about(tmp_path / "a" / "attrs.txt", "OCC, BLUR", OTB)
    with pytest.warns(UserWarning, match=re.escape("a: attrs.txt: must be of")):
        assert [sequence.name for sequence in find_sequences(tmp_path)] == ["b"]
