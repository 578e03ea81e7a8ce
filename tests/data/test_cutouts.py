"""Cut-outs of real objects: the pixels under the mask only."""

import cv2
import numpy as np
import pytest

from siamcorr.data.datasets.sequences import Sequence, find_sequences
from siamcorr.data.synthetic.cutouts import EVERY, cut_out, video_cutouts
from siamcorr.data.synthetic.library import Library


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def mask_of(x, y, w, h, shape=(120, 160)):
    mask = np.zeros(shape, np.uint8)
    mask[y : y + h, x : x + w] = 1
    return mask


def test_pixels_under_the_mask():
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    cutout = cut_out(image, mask_of(20, 30, 60, 50))
    assert cutout.shape == (50, 60, 4)
    np.testing.assert_array_equal(cutout[:, :, :3], image[30:80, 20:80])
    assert (cutout[2:-2, 2:-2, 3] == 255).all()
    assert 0 < cutout[0, 5, 3] < 255


def test_tiny_objects_and_masks_of_another_size_are_left_out():
    image = np.zeros((120, 160, 3), np.uint8)
    assert cut_out(image, mask_of(20, 30, 60, 40)) is None
    assert cut_out(image, mask_of(20, 30, 60, 60, (100, 160))) is None
    assert cut_out(image, mask_of(0, 0, 0, 0)) is None


@pytest.fixture
def videos(tmp_path):
    """14 frames, each of a different grey, and their masks."""
    folder = tmp_path / "videos" / "cup"
    folder.mkdir(parents=True)
    writer = cv2.VideoWriter(
        str(folder / "cup.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120)
    )
    masks = tmp_path / "masks" / "cup"
    masks.mkdir(parents=True)
    for index in range(14):
        writer.write(np.full((120, 160, 3), 10 + 15 * index, np.uint8))
        cv2.imwrite(str(masks / f"{index + 1:08}.png"), 255 * mask_of(20, 30, 50 + index, 60))
    writer.release()
    (folder / "groundtruth.txt").write_text("20,30,50,60\n" * 14)
    return tmp_path


def test_each_frame_has_its_mask(videos):
    cutouts = video_cutouts(find_sequences(videos / "videos"), videos / "masks")
    assert [cutout.shape[1] for cutout in cutouts] == [50 + index for index in (0, 6, 12)]
    assert EVERY == 6
    for index, cutout in zip((0, 6, 12), cutouts, strict=True):
        assert int(cutout[30, 30, 0]) == pytest.approx(10 + 15 * index, abs=3)


def test_as_many_masks_as_frames(videos):
    (videos / "masks" / "cup" / "00000014.png").unlink()
    with pytest.raises(ValueError, match="13 masks for 14 frames"):
        video_cutouts(find_sequences(videos / "videos"), videos / "masks")


def test_broken_mask_is_left_out_with_a_warning(videos):
    (videos / "masks" / "cup" / "00000001.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"00000001\.png: cannot be read"):
        cutouts = video_cutouts(find_sequences(videos / "videos"), videos / "masks")
    assert len(cutouts) == 2


def test_no_masks_at_all(videos):
    sequence = Sequence("pictures", (), np.zeros((0, 4)))
    with pytest.raises(ValueError, match="no masks found for any of the sequences"):
        video_cutouts([sequence], videos / "masks")


# in a library


def write_person(folder, name, color):
    image = np.full((120, 100, 3), color, np.uint8)
    cv2.imwrite(str(folder / f"{name}.jpg"), image)
    cv2.imwrite(str(folder / f"{name}_mask.png"), 255 * mask_of(10, 10, 60, 100, (120, 100)))


def test_photographs_with_masks_are_cutouts(tmp_path):
    """They are not photographs, and their masks are not pictures."""
    write_person(tmp_path, "berta", (0, 0, 255))
    cv2.imwrite(str(tmp_path / "ground.jpg"), np.zeros((100, 100, 3), np.uint8))
    library = Library([tmp_path])
    assert [path.name for path in library.photos] == ["ground.jpg"]
    assert [path.name for path in library.cutouts] == ["berta.jpg"]
    cutout = library.cutout(np.random.default_rng(0))
    assert cutout.shape == (100, 60, 4)
    assert cutout[50, 30].tolist() == pytest.approx([254, 0, 0, 255], abs=2)


def test_more_cutouts_are_chosen_as_often(tmp_path):
    write_person(tmp_path, "berta", (0, 0, 255))
    cv2.imwrite(str(tmp_path / "ground.jpg"), np.zeros((100, 100, 3), np.uint8))
    own = np.full((50, 50, 4), 7, np.uint8)
    library = Library([tmp_path], more=[own, own, own])
    rng = np.random.default_rng(0)
    mine = sum(library.cutout(rng) is own for _ in range(400))
    assert mine == pytest.approx(300, abs=40)
