"""The COCO document: complete and correct, however the run ends."""

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from siamcorr.media import append_file, open_table
from siamcorr.media.tables import coco

SIZE = (320, 240)
BOX = (10.5, 20, 30, 40)


def document(path):
    """Load the document; fail if it has NaN or a repeated key in an object."""

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    return json.loads(path.read_text(), object_pairs_hook=unique, parse_constant=pytest.fail)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.json"


def test_images_annotations_and_category(path):
    with open_table(path, SIZE) as table:
        table.write(4, 4 / 25, BOX, 0.75)
        table.write(4, 4 / 25, (1, 2, 3, 4), 0.5, target=2, lost=True)
        table.write(6, 6 / 25, BOX, 1.0)
    found = document(path)
    size = {"width": 320, "height": 240}
    assert found["images"] == [
        {"id": 5, "file_name": "000004.jpg", "frame_index": 4, "time": 0.16} | size,
        {"id": 7, "file_name": "000006.jpg", "frame_index": 6, "time": 0.24} | size,
    ]
    assert [category["id"] for category in found["categories"]] == [1]
    common = {"category_id": 1, "iscrowd": 0}
    first = {"bbox": [10.5, 20, 30, 40], "area": 1200, "track_id": 0, "lost": False} | common
    second = {"bbox": [1, 2, 3, 4], "area": 12, "track_id": 2, "lost": True} | common
    assert found["annotations"] == [
        {"id": 1, "image_id": 5, "score": 0.75} | first,
        {"id": 2, "image_id": 5, "score": 0.5} | second,
        {"id": 3, "image_id": 7, "score": 1.0} | first,
    ]
    assert list(path.parent.iterdir()) == [path]


def test_valid_document_without_rows(path):
    with open_table(path, SIZE):
        pass
    found = document(path)
    assert (found["images"], found["annotations"]) == ([], [])


def write_and_raise(path, end):
    with open_table(path, SIZE) as table:
        for frame in range(5):
            table.write(frame, frame / 25, BOX, 1.0)
        end()


def fail():
    raise KeyError("mine")


@pytest.mark.parametrize(
    ("end", "kind"),
    [(fail, KeyError), (lambda: signal.raise_signal(signal.SIGINT), KeyboardInterrupt)],
    ids=["error", "Ctrl-C"],
)
def test_it_is_finished_after(end, kind, path):
    with pytest.raises(kind):
        write_and_raise(path, end)
    found = document(path)
    assert [image["id"] for image in found["images"]] == [1, 2, 3, 4, 5]
    assert [row["image_id"] for row in found["annotations"]] == [1, 2, 3, 4, 5]
    assert list(path.parent.iterdir()) == [path]


def test_rows_are_in_the_file_before_it_is_closed(path):
    with open_table(path, SIZE) as table:
        for count in range(4):
            assert path.read_text().count('"bbox"') == count
            table.write(count, 0.0, BOX, 1.0)


@pytest.mark.parametrize("block", [130, 400, 1000, 1 << 24])
def test_every_image_is_moved_once_whatever_the_block(block, path, monkeypatch):
    monkeypatch.setattr(coco, "BLOCK", block)
    with open_table(path, SIZE) as table:
        for frame in range(0, 60, 2):
            table.write(frame, 0.0, BOX, 1.0)
    found = document(path)
    assert sorted(image["frame_index"] for image in found["images"]) == list(range(0, 60, 2))
    assert len(found["annotations"]) == 30


class Disk:
    """Replacement for os.write on a disk with room for a number of bytes, shared by all files."""

    def __init__(self, capacity):
        self.capacity, self.real, self.descriptors = capacity, os.write, set()

    def used(self):
        sizes = []
        for descriptor in list(self.descriptors):
            try:
                sizes.append(os.fstat(descriptor).st_size)
            except OSError:  # closed, so no longer counted
                self.descriptors.remove(descriptor)
        return sum(sizes)

    def __call__(self, descriptor, data):
        self.descriptors.add(descriptor)
        free = self.capacity - self.used()
        if free <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.real(descriptor, data[:free])


def write_until_full(path, written):
    with open_table(path, SIZE) as table:
        for frame in range(1000):
            table.write(frame, frame / 25, BOX, 1.0, target=frame % 3)
            written.append(frame)


@pytest.mark.parametrize("capacity", range(20_000, 20_300, 23))
@pytest.mark.parametrize("block", [500, 1 << 24])
def test_document_is_complete_on_a_full_disk(capacity, block, path, monkeypatch):
    monkeypatch.setattr(append_file.os, "write", Disk(capacity))
    monkeypatch.setattr(coco, "RESERVE", 64)
    monkeypatch.setattr(coco, "BLOCK", block)
    written = []
    with pytest.raises(OSError, match=r"No space left on device: '.*out\.json'") as caught:
        write_until_full(path, written)
    assert caught.value.errno == errno.ENOSPC
    found = document(path)
    assert [row["image_id"] - 1 for row in found["annotations"]] == written
    assert len(written) > 50
    frames = sorted(image["frame_index"] for image in found["images"])
    assert frames in (written, [*written, len(written)])  # the last image's row may be missing
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("capacity", [10, 100])
def test_disk_that_is_full_before_the_first_row(capacity, path, monkeypatch):
    monkeypatch.setattr(append_file.os, "write", Disk(capacity))
    with pytest.raises(OSError, match="No space left on device"):
        open_table(path, SIZE)


def test_frames_do_not_go_back(path):
    with open_table(path, SIZE) as table:
        table.write(5, 0.2, BOX, 1.0)
        with pytest.raises(ValueError, match=r"out\.json: frames must not go back, got 3 after 5"):
            table.write(3, 0.12, BOX, 1.0)
        table.write(5, 0.2, BOX, 1.0, target=1)
    found = document(path)
    assert (len(found["images"]), len(found["annotations"])) == (1, 2)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, r"out\.json: a COCO table needs frame_size=\(width, height\), got none"),
        ((0, 240), r"out\.json: frame_size must be >= 1, got 0x240"),
        ((320, -1), r"out\.json: frame_size must be >= 1, got 320x-1"),
    ],
)
def test_frame_size_is_checked(size, text, path):
    with pytest.raises(ValueError, match=text):
        open_table(path, size)
    assert not path.exists()


def test_closing_twice_changes_nothing(path):
    table = open_table(path, SIZE)
    table.write(0, 0.0, BOX, 1.0)
    table.close()
    before = path.read_bytes()
    table.close()
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="closed file"):
        table.write(1, 0.0, BOX, 1.0)


def test_pycocotools_reads_it(path):
    reader = pytest.importorskip("pycocotools.coco")
    with open_table(path, SIZE) as table:
        for frame in range(3):
            table.write(frame, frame / 25, BOX, 1.0)
    found = reader.COCO(str(path))
    assert found.getImgIds() == [1, 2, 3]
    assert [row["bbox"] for row in found.loadAnns(found.getAnnIds(imgIds=[2]))] == [list(BOX)]


def test_supervision_reads_it(path, tmp_path):
    supervision = pytest.importorskip("supervision")
    with open_table(path, SIZE) as table:
        for frame in range(3):
            table.write(frame, frame / 25, BOX, 1.0)
            table.write(frame, frame / 25, (frame, 2, 3, 4), 1.0, target=1)
    found = supervision.DetectionDataset.from_coco(str(tmp_path / "images"), str(path))
    assert found.classes == ["target"]
    boxes = {Path(name).name: rows.xyxy for name, rows in found.annotations.items()}
    assert sorted(boxes) == ["000000.jpg", "000001.jpg", "000002.jpg"]
    np.testing.assert_allclose(boxes["000002.jpg"], [[10.5, 20, 40.5, 60], [2, 2, 5, 6]])
