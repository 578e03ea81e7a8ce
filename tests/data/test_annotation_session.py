"""Annotation without a window: saved marks, boxes between them, the exported sequence."""

import errno
import math
import re
from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import levels, only

from siamcorr.data import find_sequences
from siamcorr.data.annotation import export_sequence
from siamcorr.data.annotation.export_sequence import (
    description,
    frames_stored,
    store_frames,
    write_together,
)
from siamcorr.data.annotation.keyframes import (
    ABSENT,
    Mark,
    clipped,
    interpolate,
    proposed,
    read_marks,
    shown_frames,
)
from siamcorr.data.annotation.session import Annotation
from siamcorr.media import SourceError, write_image

NAN = [math.nan] * 4
ONE, OTHER = (1.0, 2.0, 8.0, 4.0), (5.0, 0.0, 4.0, 8.0)
ABOUT = "[METAINFO]\nsource: clip.mp4\n"


def pictures(count):
    return (np.full((12, 16, 3), 10 * number, np.uint8) for number in range(count))


@pytest.fixture
def folder(tmp_path):
    store_frames(pictures(7), tmp_path / "out" / "clip", ABOUT)
    return tmp_path / "out" / "clip"


@pytest.fixture
def full(monkeypatch):
    """A disk that is full after `full.after` texts."""
    write = Path.write_text

    def write_text(path, text, **options):
        full.after -= 1
        if full.after < 0:
            write(path, text[: len(text) // 2], **options)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, text, **options)

    class full:  # noqa: N801
        after = 99

    monkeypatch.setattr(Path, "write_text", write_text)
    return full


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# between the marks


INTERPOLATED = {
    "nothing": ({}, [NAN] * 3),
    "one": ({1: Mark(ONE)}, [NAN, ONE, NAN]),
    "halfway": ({0: Mark(ONE), 2: Mark(OTHER)}, [ONE, (3, 1, 6, 6), OTHER]),
    "in any order": ({2: Mark(OTHER), 0: Mark(ONE)}, [ONE, (3, 1, 6, 6), OTHER]),
    "thirds": (
        {0: Mark((0, 0, 3, 3)), 3: Mark((3, 9, 6, 3))},
        [(0, 0, 3, 3), (1, 3, 4, 3), (2, 6, 5, 3), (3, 9, 6, 3)],
    ),
    "neighbours": ({0: Mark(ONE), 1: Mark(OTHER)}, [ONE, OTHER]),
    "then gone": ({0: Mark(ONE), 2: ABSENT}, [ONE, NAN, NAN]),
    "back again": ({0: ABSENT, 2: Mark(ONE)}, [NAN, NAN, ONE]),
    "gone between": (
        {0: Mark(ONE), 2: ABSENT, 4: Mark(ONE), 6: Mark(OTHER)},
        [ONE, NAN, NAN, NAN, ONE, (3, 1, 6, 6), OTHER],
    ),
    "gone for long": ({0: ABSENT, 2: ABSENT}, [NAN, NAN, NAN]),
}


@pytest.mark.parametrize(("marks", "expected"), INTERPOLATED.values(), ids=INTERPOLATED)
def test_interpolate(marks, expected):
    np.testing.assert_allclose(interpolate(marks, len(expected)), np.array(expected, dtype=float))


PROPOSED = {
    "nothing before": ({}, 0, None),
    "only later": ({4: Mark(ONE)}, 2, None),
    "its own mark": ({2: ABSENT, 4: Mark(ONE)}, 2, ABSENT),
    "the last one": ({0: Mark(ONE), 2: Mark(OTHER)}, 4, Mark(OTHER)),
    "the last absence": ({0: Mark(ONE), 2: ABSENT}, 4, ABSENT),
    "between boxes": ({0: Mark(ONE), 4: Mark(OTHER)}, 1, Mark((2.0, 1.5, 7.0, 5.0))),
    "between the nearest": ({0: ABSENT, 1: Mark(ONE), 3: Mark(ONE), 9: ABSENT}, 2, Mark(ONE)),
    "before an absence": ({0: Mark(ONE), 4: ABSENT}, 2, Mark(ONE)),
    "after an absence": ({0: ABSENT, 4: Mark(ONE)}, 2, ABSENT),
    "hundredths": (
        {0: Mark((0, 0, 1, 1)), 3: Mark((1, 1, 1, 1))}, 1, Mark((0.33, 0.33, 1.0, 1.0))
    ),
}  # fmt: skip


@pytest.mark.parametrize(("marks", "frame", "expected"), PROPOSED.values(), ids=PROPOSED)
def test_proposed(marks, frame, expected):
    assert proposed(marks, frame) == expected


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1.234, 2.346, 3, 4), (1.23, 2.35, 3.0, 4.0)),
        ((-2, -3, 5, 7), (0, 0, 3, 4)),
        ((10, 8, 99, 99), (10, 8, 6, 4)),
        ((-9, 0, 5, 5), None),
        ((0, 12, 5, 5), None),
        ((3, 3, 0.001, 5), None),
    ],
)
def test_clipped(box, expected):
    assert clipped(box, (12, 16)) == expected


@pytest.mark.parametrize(
    ("count", "every", "expected"),
    [(1, 10, [0]), (11, 10, [0, 10]), (12, 10, [0, 10, 11]), (3, 1, [0, 1, 2]), (4, 9, [0, 3])],
)
def test_shown_frames(count, every, expected):
    assert shown_frames(count, every) == expected


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (0, 0, 5, -1), (math.nan, 0, 5, 5)])
def test_mark_needs_a_size(box):
    with pytest.raises(ValueError, match="box must be finite and have a size, got"):
        Mark(box)


# marks on disk


def test_marks_are_kept_as_they_are_made(folder):
    annotation = Annotation(folder)
    assert annotation.marks == {}
    made = {6: Mark((0.1, 2.0, 3.25, 1e-3)), 0: Mark(ONE), 3: ABSENT}
    for count, (frame, mark) in enumerate(made.items(), 1):
        annotation.mark(frame, mark)
        assert Annotation(folder).marks == dict([*made.items()][:count])
    text = "frame,x,y,w,h\n0,1.0,2.0,8.0,4.0\n3,,,,\n6,0.1,2.0,3.25,0.001\n"
    assert (folder.parent / "clip.marks.csv").read_text() == text
    annotation.mark(3, Mark(OTHER))
    assert Annotation(folder).marks == {**made, 3: Mark(OTHER)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "first line must be frame,x,y,w,h, got ''"),
        ("x,y,w,h\n", "first line must be frame,x,y,w,h, got 'x,y,w,h'"),
        ("frame,x,y,w,h\n0,1,1,2,2\n1,1,1,2\n", "line 3 is not a mark: '1,1,1,2'"),
        ("frame,x,y,w,h\n0,1,1,,2\n", "line 2 is not a mark: '0,1,1,,2'"),
        ("frame,x,y,w,h\n0,1,1,0,2\n", "line 2 is not a mark: '0,1,1,0,2'"),
        ("frame,x,y,w,h\nfirst,1,1,2,2\n", "line 2 is not a mark: 'first,1,1,2,2'"),
    ],
)
def test_broken_marks(text, told, tmp_path):
    path = tmp_path / "clip.marks.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {told}')}$"):
        read_marks(path)


@pytest.mark.parametrize("frame", [-1, 7])
def test_marks_of_other_frames(folder, frame):
    (folder.parent / "clip.marks.csv").write_text(f"frame,x,y,w,h\n{frame},1,1,2,2\n")
    with pytest.raises(ValueError, match="has marks outside the 7 frames"):
        Annotation(folder)


@pytest.mark.parametrize(
    ("frame", "mark", "text"),
    [
        (7, Mark(ONE), "has 7 frames, no frame 7"),
        (-1, Mark(ONE), "has 7 frames, no frame -1"),
        (0, ABSENT, "the target must be in the first frame"),
    ],
)
def test_invalid_marks(folder, frame, mark, text):
    annotation = Annotation(folder)
    with pytest.raises(ValueError, match=text):
        annotation.mark(frame, mark)
    assert annotation.marks == read_marks(annotation.path) == {}


# frames on disk


def test_frames_are_stored(folder):
    names = [f"{number:08d}.jpg" for number in range(1, 8)]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "meta_info.ini"]
    assert [path.name for path in Annotation(folder).frames] == names
    assert [path.name for path in folder.parent.iterdir()] == ["clip"]


def test_stored_frames_are_recognized(folder):
    assert frames_stored(folder, ABOUT)
    assert not frames_stored(folder.with_name("other"), ABOUT)
    for about in (ABOUT.replace("clip", "clap"), f"{ABOUT}start: 3\n"):
        with pytest.raises(ValueError, match="clip: exists and holds other frames"):
            frames_stored(folder, about)
    (folder / "meta_info.ini").unlink()  # a foreign folder of the same name
    with pytest.raises(ValueError, match="clip: exists and holds other frames"):
        frames_stored(folder, ABOUT)


def test_description(tmp_path):
    """Descriptions differ for other sources and other parts of a source."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"12345")
    text = "[METAINFO]\nsource: clip.mp4\nbytes: 5\nstart: 3\nframes: 9\n"
    assert description(path, 3, 9) == text
    assert description(path, 3, None) == text.replace("9", "all")


def write_images(folder, shades):
    folder.mkdir(parents=True)
    for number, shade in enumerate(shades):
        write_image(folder / f"{number}.bmp", np.full((4, 6, 3), shade, np.uint8))
    return folder


def test_folders_are_identified_by_their_images(tmp_path):
    """Same name, number and size, as possible in two datasets."""
    first, second = (
        write_images(tmp_path / n / "img", s) for n, s in (("a", [1, 2]), ("b", [3, 2]))
    )
    about = description(first, 0, None)
    store_frames(pictures(2), tmp_path / "out" / "img", about)
    (first / "notes.txt").write_text("no image")
    assert frames_stored(tmp_path / "out" / "img", description(first, 0, None))
    assert description((tmp_path / "a").rename(tmp_path / "moved") / "img", 0, None) == about
    more = write_images(tmp_path / "c" / "img", [1, 2, 3])
    for other in (second, more):
        with pytest.raises(ValueError, match="img: exists and holds other frames"):
            frames_stored(tmp_path / "out" / "img", description(other, 0, None))


def test_descriptions_of_older_versions(tmp_path):
    source = write_images(tmp_path / "a" / "img", [1, 2])
    older = "[METAINFO]\nsource: img\nstart: 0\nframes: all\n"
    store_frames(pictures(2), tmp_path / "out" / "img", older)
    assert frames_stored(tmp_path / "out" / "img", description(source, 0, None))
    with pytest.raises(ValueError, match="img: exists and holds other frames"):
        frames_stored(tmp_path / "out" / "img", description(source, 1, None))


def test_folder_without_images(tmp_path):
    with pytest.raises(SourceError, match="0 images, none at index 0"):
        description(tmp_path, 0, None)


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_incomplete_frames_leave_nothing(error, tmp_path):
    def frames():
        yield from pictures(3)
        raise error

    with pytest.raises(type(error)):
        store_frames(frames(), tmp_path / "clip", ABOUT)
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(ValueError, match="clip: no readable frame"):
        store_frames([], tmp_path / "clip", ABOUT)
    assert [*tmp_path.iterdir()] == []


def test_files_of_a_killed_process_are_removed(tmp_path):
    left = tmp_path / ".clip.part"
    left.mkdir()
    (left / "00000009.jpg").write_bytes(b"some of it")
    store_frames(pictures(2), tmp_path / "clip", ABOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]
    assert len(Annotation(tmp_path / "clip").frames) == 2


def test_no_frames(tmp_path):
    with pytest.raises(ValueError, match="clip: holds no frames"):
        Annotation(tmp_path / "clip")


# the sequence


def test_sequence_reads_back(folder):
    annotation = Annotation(folder)
    marks = {0: Mark(ONE), 3: Mark((5.5, 0.25, 4, 8)), 5: ABSENT, 6: Mark(OTHER)}
    for frame, mark in marks.items():
        assert not annotation.complete
        annotation.mark(frame, mark)
    assert annotation.complete
    boxes = annotation.finish()
    np.testing.assert_array_equal(boxes, interpolate(marks, 7))
    sequence = only(folder.parent, "got10k")
    assert sequence.name == "clip"
    np.testing.assert_allclose(sequence.boxes, boxes, rtol=0, atol=5e-5)
    gone = (False, False, False, False, True, True, False)
    assert sequence.attributes["absence"] == gone
    assert levels(sequence) == pytest.approx([0, 10, 20, 30, 40, 50, 60], abs=2)
    assert (folder / "cover.label").read_text().split() == list("8888008")
    assert (folder / "groundtruth.txt").read_text().startswith("1.0000,2.0000,8.0000,4.0000\n")
    assert len((folder / "groundtruth.txt").read_text().splitlines()) == 7


def test_unfinished_one_beside_a_finished_one(folder):
    for frame in (0, 6):
        Annotation(folder).mark(frame, Mark(ONE))
    Annotation(folder).finish()
    store_frames(pictures(3), folder.with_name("next"), ABOUT)
    Annotation(folder.with_name("next")).mark(0, Mark(ONE))
    with pytest.warns(UserWarning, match="next: no ground truth"):
        (sequence,) = find_sequences(folder.parent)
    assert sequence.name == "clip"


@pytest.mark.parametrize("marked", [[], [0], [0, 5], [6]])
def test_unfinished(folder, marked):
    annotation = Annotation(folder)
    for frame in marked:
        annotation.mark(frame, Mark(ONE))
    before = contents(folder)
    with pytest.raises(ValueError, match="first and last frame must be marked"):
        annotation.finish()
    assert contents(folder) == before


@pytest.mark.parametrize("good", [0, 1, 2])
@pytest.mark.parametrize("again", [False, True])
def test_full_disk_leaves_the_truth_as_it_was(folder, full, good, again):
    annotation = Annotation(folder)
    for frame in (0, 6):
        annotation.mark(frame, Mark(ONE))
    if again:
        annotation.finish()
        annotation.mark(3, ABSENT)
    before = contents(folder)
    full.after = good
    with pytest.raises(OSError, match="No space left") as raised:
        annotation.finish()
    assert Path(raised.value.filename).parent == folder
    assert contents(folder) == before
    full.after = 99
    annotation.finish()
    assert np.isnan(only(folder.parent, "got10k").boxes[3]).all() == again


def test_full_disk_leaves_the_marks_as_they_were(folder, full):
    annotation = Annotation(folder)
    annotation.mark(0, Mark(ONE))
    before = contents(folder.parent)
    full.after = 0
    with pytest.raises(OSError, match="No space left") as raised:
        annotation.mark(3, Mark(OTHER))
    assert raised.value.filename == str(annotation.path)
    assert contents(folder.parent) == before
    assert annotation.marks == Annotation(folder).marks == {0: Mark(ONE)}


def test_write_together_takes_a_folder_that_is_not_there(tmp_path):
    path = tmp_path / "none" / "a.txt"
    with pytest.raises(FileNotFoundError) as raised:
        write_together({tmp_path / "b.txt": "b", path: "a"})
    assert raised.value.filename == str(path)
    assert [*tmp_path.iterdir()] == []


def test_images_that_cannot_be_written(tmp_path, monkeypatch):
    def write(path, image):
        path.write_bytes(b"some of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export_sequence, "write_image", write)
    with pytest.raises(OSError, match="No space left"):
        store_frames(pictures(2), tmp_path / "clip", ABOUT)
    assert [*tmp_path.iterdir()] == []
