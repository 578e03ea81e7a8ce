"""The library: its pictures, and random draws from it."""

from hashlib import sha256
from itertools import islice

import cv2
import numpy as np
import pytest
from training.drawn import cutout, names, photograph, write_pictures

from siamcorr.data.synthetic.library import Library


@pytest.fixture
def folder(tmp_path):
    return write_pictures(tmp_path / "pictures")


@pytest.fixture(autouse=True)
def threads():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def seeded(seed):
    return np.random.default_rng(seed)


def fresh_name(suffix, index=3):
    """Name of a training picture that `write_pictures` has not used."""
    return next(islice(names(suffix, held_out=False), index, None))


def drawn(draw, times=60):
    """The distinct pictures that are drawn."""
    return {draw(seeded(seed)).tobytes() for seed in range(times)}


def test_a_tenth_is_held_out(folder):
    parts = [Library([folder], held_out=held_out) for held_out in (False, True)]
    for kind in ("photos", "cutouts"):
        rest, tenth = (set(getattr(part, kind)) for part in parts)
        assert len(rest) == len(tenth) == 3
        assert not rest & tenth
        assert {sha256(path.name.encode()).digest()[0] % 10 for path in tenth} == {0}
    listed = {path for part in parts for path in part.photos + part.cutouts}
    assert listed == {path for path in folder.rglob("*") if path.is_file()}


def test_the_tenth_is_the_same_on_every_machine(tmp_path):
    write_pictures(tmp_path / "elsewhere" / "deep")
    held_out = Library([tmp_path], held_out=True)
    assert [path.name for path in held_out.photos] == ["20.jpg", "22.jpg", "8.jpg"]
    assert [path.name for path in held_out.cutouts] == ["10.png", "11.png", "16.png"]


@pytest.mark.parametrize("name", ["cartoon", "symbols", "flags", "alphabets", "shapes"])
def test_drawings_are_left_out(name, folder):
    path = folder / "stamps" / name / "deeper" / fresh_name(".png")
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), cutout(9))
    library = Library([folder])
    assert path not in library.cutouts
    assert len(library.cutouts) == 3


def test_a_folder_called_shapes_above_the_library_does_not_matter(tmp_path):
    library = Library([write_pictures(tmp_path / "shapes" / "pictures")])
    assert len(library.cutouts) == 3


@pytest.mark.parametrize("present", [False, True])
def test_no_pictures(present, tmp_path):
    (tmp_path / "a").mkdir()
    if present:
        cv2.imwrite(str(tmp_path / "a" / fresh_name(".jpg")), photograph(0))
    with pytest.raises(ValueError, match=f"/a, gone: {int(present)} photographs and 0 cut-outs"):
        Library([tmp_path / "a", "gone"])


@pytest.mark.parametrize(("kind", "suffix"), [("photo", ".jpg"), ("cutout", ".png")])
def test_broken_picture_is_left_out_with_a_warning(kind, suffix, folder):
    whole = drawn(getattr(Library([folder]), kind))
    assert len(whole) == 3
    path = folder / fresh_name(suffix)
    path.write_bytes(b"broken")
    library = Library([folder])
    assert path in getattr(library, f"{kind}s")
    with pytest.warns(UserWarning, match=f"^{path}: cannot be read, left out$") as caught:
        assert drawn(getattr(library, kind)) == whole
    assert len(caught) == 1


def test_draws_are_independent_of_earlier_draws(folder):
    """Else a resumed run would see other pairs after one broken picture."""
    path = folder / fresh_name(".jpg")
    path.write_bytes(b"broken")
    library = Library([folder])
    with pytest.warns(UserWarning, match="cannot be read"):
        forwards = [library.photo(seeded(seed)) for seed in range(20)]
    backwards = [Library([folder]).photo(seeded(seed)) for seed in reversed(range(20))]
    for one, other in zip(forwards, reversed(backwards), strict=True):
        np.testing.assert_array_equal(one, other)


def test_none_that_can_be_read(folder):
    for path in (folder / "photos").iterdir():
        path.write_bytes(b"broken")
    library = Library([folder])
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(ValueError, match="no readable picture is left"),
    ):
        library.photo(seeded(0))
    assert library.cutout(seeded(0)).shape[2] == 4


@pytest.mark.parametrize(
    "picture",
    [
        cutout(5)[:, :, :3],
        cutout(5)[:, :, 0],
        cutout(5)[40:70],  # 30 rows
        cutout(5) * np.uint8([1, 1, 1, 0]),
    ],
    ids=["no alpha", "gray", "tiny", "empty"],
)
def test_other_files_are_left_out(picture, folder):
    whole = drawn(Library([folder]).cutout)
    cv2.imwrite(str(folder / fresh_name(".png")), picture)
    assert drawn(Library([folder]).cutout) == whole


def test_cutout_of_16_bits(folder):
    """The upper byte is the picture; the lower one is noise."""
    path = folder / fresh_name(".png")
    noise = seeded(0).integers(256, size=(100, 120, 4))
    cv2.imwrite(str(path), (cutout(5) * np.uint16(256) + noise).astype(np.uint16))
    deep = drawn(Library([folder]).cutout)
    path.unlink()
    cv2.imwrite(str(folder / fresh_name(".png", 4)), cutout(5))
    assert drawn(Library([folder]).cutout) == deep


def test_tiny_photograph_is_left_out(folder):
    whole = drawn(Library([folder]).photo)
    cv2.imwrite(str(folder / fresh_name(".jpg")), photograph(5, 300, 47))
    assert drawn(Library([folder]).photo) == whole


def test_cutouts_have_no_empty_border(folder):
    library = Library([folder])
    for seed in range(10):
        picture = library.cutout(seeded(seed))
        assert picture.shape == (51, 61, 4)
        opaque = picture[:, :, 3] > 127
        assert opaque[[0, -1]].any(axis=1).all()
        assert opaque[:, [0, -1]].any(axis=0).all()


def test_colours_are_red_green_blue_and_large_pictures_shrink(tmp_path):
    blue_green_red = np.uint8([10, 90, 200])
    cv2.imwrite(str(tmp_path / fresh_name(".JPG")), np.tile(blue_green_red, (400, 1000, 1)))
    solid = np.dstack([np.tile(blue_green_red, (60, 50, 1)), np.full((60, 50), 255, np.uint8)])
    cv2.imwrite(str(tmp_path / fresh_name(".png")), solid)
    library = Library([str(tmp_path)])
    photo, picture = library.photo(seeded(0)), library.cutout(seeded(0))
    assert (photo.shape, photo.dtype.name) == ((256, 640, 3), "uint8")
    assert (picture.shape, picture.dtype.name) == ((60, 50, 4), "uint8")
    np.testing.assert_allclose(photo[50, 50], [200, 90, 10], atol=3)
    assert picture[5, 5].tolist() == [200, 90, 10, 255]


def test_read_all_reads_each_file_once(folder):
    (folder / fresh_name(".jpg")).write_bytes(b"broken")
    library = Library([folder])
    with pytest.warns(UserWarning, match="cannot be read") as caught:
        library.read_all()
    assert len(caught) == 1
    assert cv2.getNumThreads() == 1
    for path in folder.rglob("*.*"):
        path.unlink()
    assert len(drawn(library.photo)) == len(drawn(library.cutout)) == 3
