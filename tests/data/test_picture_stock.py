"""Stock and frame cache: random pictures of several folders, and exact frames of a video."""

import cv2
import numpy as np
import pytest

from siamcorr.data.frame_cache import cached_frames
from siamcorr.data.pairs.picture_stock import VIDEO, Stock, find_pictures
from siamcorr.media import SourceError, open_source


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "siamcorr" / "frames"


@pytest.fixture
def video(tmp_path):
    """12 frames of 64 x 48 pixels, each of a different grey."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for index in range(12):
        writer.write(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.release()
    return path


def test_frames_are_those_of_the_source(video):
    frames = cached_frames(video)
    source = open_source(str(video))
    decoded = [frame.image for frame in source]
    source.close()
    assert frames.shape == (12, 48, 64, 3)
    np.testing.assert_array_equal(frames, decoded)


@pytest.mark.parametrize("name", ["clip.avi", "clip [1]*.avi"])
def test_a_video_is_decoded_once(name, video, cache, monkeypatch):
    video = video.rename(video.with_name(name))
    cached_frames(video)
    (file,) = cache.iterdir()
    monkeypatch.setattr("siamcorr.data.frame_cache.open_source", None)
    assert len(cached_frames(video)) == 12
    assert [*cache.iterdir()] == [file]


def test_another_video_of_the_same_name_is_another(video, cache):
    """The old frames are deleted; those of a file of that name in another folder are not."""
    other = video.parent / "other" / video.name
    other.parent.mkdir()
    other.write_bytes(video.read_bytes())
    before = cached_frames(video).copy()
    cached_frames(other)
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), 200, np.uint8))
    writer.release()
    assert len(before) == 12
    assert len(cached_frames(video)) == 3
    assert len([*cache.iterdir()]) == 2
    assert len(cached_frames(other)) == 12


def test_file_that_is_not_a_video_leaves_nothing(tmp_path, cache):
    path = tmp_path / "broken.avi"
    path.write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"broken\.avi"):
        cached_frames(path)
    assert not any(cache.glob("*"))
    assert not any(cache.glob(".*"))


def test_a_frame_cannot_be_written_to(video):
    with pytest.raises(ValueError, match="read-only"):
        cached_frames(video)[0, 0, 0] = 1


def test_pictures_below_folders_but_no_masks(tmp_path, video):
    (tmp_path / "deep").mkdir()
    for name in ("deep/a.png", "b.jpg", "b_mask.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((40, 50, 3), np.uint8))
    (tmp_path / "notes.txt").write_text("")
    names = {path.name for path in find_pictures([str(tmp_path)])}
    assert names == {"a.png", "b.jpg", "clip.avi"}
    assert find_pictures([str(video)]) == {video}


def test_a_video_counts_as_twenty_pictures(tmp_path, video):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :, 2] = 255  # red, in OpenCV's order
    cv2.imwrite(str(tmp_path / "red.png"), picture)
    stock = Stock([str(tmp_path)])
    rng = np.random.default_rng(0)
    reds = sum(bool((stock.any(rng)[0, 0] == (255, 0, 0)).all()) for _ in range(2100))
    assert reds == pytest.approx(2100 / (VIDEO + 1), rel=0.3)


def test_large_pictures_are_shrunk(tmp_path):
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((100, 1280, 3), np.uint8))
    assert Stock([str(tmp_path)]).any(np.random.default_rng(0)).shape == (50, 640, 3)


def test_broken_picture_is_left_out_with_a_warning(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "whole.png"), np.zeros((40, 50, 3), np.uint8))
    with pytest.warns(UserWarning, match="broken.png"):
        stock = Stock([str(tmp_path)])
    assert len(stock.images) == 1


def test_no_pictures(tmp_path):
    with pytest.raises(ValueError, match="no images or videos found"):
        Stock([str(tmp_path)])


def test_error_is_a_source_error(tmp_path):
    with pytest.raises((SourceError, OSError)):
        cached_frames(tmp_path / "gone.mp4")
