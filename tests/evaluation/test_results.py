"""Results on disk: read as they were written, completely or not at all."""

import errno

import numpy as np
import pytest

from siamcorr.evaluation import Result, load_result, save_result
from siamcorr.evaluation import results as module
from siamcorr.evaluation.results import result_path


def some(frames=5, seed=0):
    rng = np.random.default_rng(seed)
    return Result(rng.uniform(-5, 300, (frames, 4)), rng.uniform(0.001, 0.1, frames))


def same(a, b):
    """Up to the digits of a file."""
    return np.allclose(a.boxes, b.boxes, atol=6e-5) and np.allclose(a.seconds, b.seconds, atol=6e-9)


@pytest.mark.parametrize("frames", [1, 5])
def test_round_trip(tmp_path, frames):
    path, result = tmp_path / "new" / "bag.txt", some(frames)
    save_result(path, result)
    found = load_result(path, frames)
    assert found.boxes.shape == (frames, 4)
    assert found.seconds.shape == (frames,)
    assert same(found, result)
    assert sorted(file.name for file in path.parent.iterdir()) == ["bag.txt", "bag_time.txt"]


def test_files_are_the_toolkits(tmp_path):
    result = Result(np.array([[1, 2, 3.5, 4], [0.25, -1, 1000, 7]]), np.array([0.5, 0.0125]))
    save_result(tmp_path / "bag.txt", result)
    lines = (tmp_path / "bag.txt").read_text().splitlines()
    assert lines == ["1.0000,2.0000,3.5000,4.0000", "0.2500,-1.0000,1000.0000,7.0000"]
    assert (tmp_path / "bag_time.txt").read_text().splitlines() == ["0.50000000", "0.01250000"]


@pytest.mark.parametrize(
    ("tracker", "folder"),
    [
        ("nanotrack-v2", "nanotrack-v2"),
        ("opencv:mil", "opencv%3Amil"),
        ("nanotrack-v2=/weights/a.pth", "nanotrack-v2=%2Fweights%2Fa.pth"),
    ],
)
def test_paths(tmp_path, tracker, folder):
    path = result_path(tmp_path, tracker, "Human4.2")
    assert path == tmp_path / folder / "Human4.2.txt"
    save_result(path, some())
    assert same(load_result(path, 5), some())
    assert (tmp_path / folder / "Human4.2_time.txt").is_file()


def test_trackers_share_no_folder(tmp_path):
    names = [f"lite=w{mark}b.pth" for mark in "/:-% \\"] + ["lite=w%2Fb.pth", "lite=w%3Ab.pth"]
    names += [f"lite={'verzeichnis_ü/' * 12}{last}.pth" for last in "ab"]
    folders = [result_path(tmp_path, name, "bag").parent for name in names]
    assert len(set(folders)) == len(names)
    assert {folder.parent for folder in folders} == {tmp_path}
    for folder in folders:
        folder.mkdir()
    assert not set("".join(folder.name for folder in folders)) & set('<>:"/\\|?*')


@pytest.mark.parametrize("file", ["bag.txt", "bag_time.txt"])
@pytest.mark.parametrize(
    "break_it",
    [
        lambda text: text.split("\n", 1)[1],  # a line less
        lambda text: text + text,
        lambda text: text[: len(text) // 2],  # cut in the middle of a line
        lambda text: text.replace("\n", ",1\n"),
        lambda text: text.replace(".", "x", 1),
        None,
    ],
)
def test_incomplete_results_are_not_used(tmp_path, file, break_it):
    path = tmp_path / "bag.txt"
    save_result(path, some())
    assert load_result(path, 5) is not None
    broken = tmp_path / file
    if break_it is None:
        broken.unlink()
    else:
        broken.write_text(break_it(broken.read_text()))
    assert load_result(path, 5) is None


@pytest.mark.filterwarnings("ignore:loadtxt")
def test_empty_files_are_not_used(tmp_path):
    for name in ("bag.txt", "bag_time.txt"):
        (tmp_path / name).touch()
    assert load_result(tmp_path / "bag.txt", 5) is None


def test_wrong_length_is_not_used(tmp_path):
    save_result(tmp_path / "bag.txt", some())
    assert load_result(tmp_path / "bag.txt", 4) is None
    assert load_result(tmp_path / "bag.txt", 6) is None


@pytest.mark.parametrize("good", [0, 1])
def test_full_disk_leaves_what_was_there(tmp_path, monkeypatch, good):
    """A file is begun, and then there is no room for all of it: the first, or the second."""
    path = tmp_path / "bag.txt"
    save_result(path, some())
    calls, savetxt = [], np.savetxt

    def full(file, array, **options):
        calls.append(file)
        if len(calls) <= good:
            savetxt(file, array, **options)
            return
        savetxt(file, array[:1], **options)
        raise OSError(errno.ENOSPC, "No space left on device", str(file))

    monkeypatch.setattr(module.np, "savetxt", full)
    with pytest.raises(OSError, match="No space left"):
        save_result(path, some(seed=1))
    assert same(load_result(path, 5), some())
    assert len(list(tmp_path.iterdir())) == 2


def test_fps():
    assert Result(np.zeros((3, 4)), np.array([9.0, 0.1, 0.3])).fps == pytest.approx(5)
    assert Result(np.zeros((1, 4)), np.array([9.0])).fps == 0
