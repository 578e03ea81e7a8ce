"""Stills: two views of a photograph, the target's box in both, and a distractor's box."""

import cv2
import numpy as np
import pytest
from training.drawn import photograph

from siamcorr.data.pairs.stills import Stills
from siamcorr.media import SourceError

HEAD = "file,x,y,w,h,class\n"


def write(folder, rows, name="one.png", scale=1):
    """A photograph in which each box is a rectangle of a different colour."""
    image = cv2.convertScaleAbs(photograph(0, 240 * scale, 180 * scale), alpha=0.3)
    colors = ((0, 255, 0), (0, 0, 255), (255, 0, 0))
    for (x, y, w, h, _), color in zip(rows, colors, strict=False):
        image[y : y + h, x : x + w] = color
    cv2.imwrite(str(folder / name), image)
    lines = [f"{name},{','.join(map(str, row))}\n" for row in rows]
    (folder / "boxes.csv").write_text(HEAD + "".join(lines), encoding="utf-8")
    return folder


def found(image, channel):
    """The box of the pixels of one colour, given by its RGB channel."""
    others = [other for other in range(3) if other != channel]
    mask = (image[:, :, channel] > 160) & (image[:, :, others].max(axis=2) < 100)
    return cv2.boundingRect(mask.astype(np.uint8))


@pytest.mark.parametrize("seed", range(4))
def test_boxes_are_at_the_objects(seed, tmp_path):
    """A rotated rectangle is slightly larger than the box, which is that of its ellipse."""
    stills = Stills(write(tmp_path, [(80, 60, 40, 40, "cup")]))
    (first, box), (second, moved) = stills.pair(np.random.default_rng(seed))
    assert box == (80, 60, 40, 40)
    assert found(first, 1) == (80, 60, 40, 40)
    x, y, w, h = found(second, 1)
    middle = np.array([moved[0] + moved[2] / 2, moved[1] + moved[3] / 2])
    np.testing.assert_allclose(middle, [x + w / 2, y + h / 2], atol=1.5)
    assert -1.5 < w - moved[2] < 12
    assert -1.5 < h - moved[3] < 12


@pytest.mark.parametrize("seed", range(4))
def test_distractor_is_of_the_same_class_if_there_is_one(seed, tmp_path):
    rows = [(60, 60, 30, 30, "cup"), (140, 60, 30, 30, "dog"), (95, 95, 30, 30, "cup")]
    stills = Stills(write(tmp_path, rows))
    stills.targets = stills.targets[:1]
    _, (_, moved), (view, rival) = stills.pair(np.random.default_rng(seed))
    x, y, w, h = found(view, 2)  # the last one, painted in blue of OpenCV's order
    middle = np.array([rival[0] + rival[2] / 2, rival[1] + rival[3] / 2])
    np.testing.assert_allclose(middle, [x + w / 2, y + h / 2], atol=1.5)
    assert rival != moved


def test_distractor_of_another_class(tmp_path):
    stills = Stills(write(tmp_path, [(60, 60, 30, 30, "cup"), (140, 60, 30, 30, "dog")]))
    assert len(stills.pair(np.random.default_rng(0))) == 3
    alone = tmp_path / "alone"
    alone.mkdir()
    assert len(Stills(write(alone, [(60, 60, 30, 30, "cup")])).pair(np.random.default_rng(0))) == 2


def test_large_photographs_are_shrunk_with_their_boxes(tmp_path):
    stills = Stills(write(tmp_path, [(800, 600, 400, 400, "cup")], scale=8))
    (image, box), _ = stills.pair(np.random.default_rng(0))
    assert image.shape == (480, 640, 3)
    assert box == pytest.approx((800 / 3, 200, 400 / 3, 400 / 3))


def test_boxes_of_unusable_size_are_distractors_only(tmp_path):
    """One box is tiny, one fills the picture."""
    rows = [(60, 60, 10, 10, "cup"), (5, 5, 230, 170, "cup")]
    with pytest.raises(ValueError, match="no box of a usable size"):
        Stills(write(tmp_path, rows))
    assert len(Stills(write(tmp_path, [*rows, (100, 100, 30, 30, "cup")])).targets) == 1


@pytest.mark.parametrize("row", ["one.png,1,2,3,x,cup\n", "one.png,1,2\n"])
def test_invalid_tables(row, tmp_path):
    write(tmp_path, [])
    (tmp_path / "boxes.csv").write_text(HEAD + row)
    with pytest.raises(
        ValueError, match=r"boxes\.csv: a row must have file, x, y, w, h, class, got"
    ):
        Stills(tmp_path)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        Stills(tmp_path)
    write(tmp_path, [(60, 60, 30, 30, "cup")])
    (tmp_path / "one.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"one\.png"):
        Stills(tmp_path)
