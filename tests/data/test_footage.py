"""Pairs of neighbouring frames, and of sequences with boxes."""

import cv2
import numpy as np
import pytest

from siamcorr.data import ClipConfig, Sequence, render_clip
from siamcorr.data.pairs.footage import Footage
from siamcorr.data.pairs.labelled import Labelled
from siamcorr.media import VideoSink


def clip(seed=0, frames=8):
    config = ClipConfig(frames=frames, width=160, height=120, target=40, seed=seed)
    images, boxes = zip(*render_clip(config), strict=True)
    return images, np.array(boxes)


def written(path, *parts):
    with VideoSink(path, fps=25) as video:
        for part in parts:
            for image in part:
                video.write(image)
    return path


def images_of(folder, frames):
    folder.mkdir()
    paths = [folder / f"{index}.png" for index in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return tuple(paths)


def test_a_cut_ends_a_shot(tmp_path):
    dark, bright = (np.full((6, 64, 96, 3), value, np.uint8) for value in (20, 200))
    footage = Footage([written(tmp_path / "cut.avi", dark, bright[:4])])
    assert [len(shot) for shot in footage.shots] == [6, 4]


def test_neighbours_show_the_same_part(tmp_path):
    """The content of the box is similar in both views."""
    footage = Footage([written(tmp_path / "clip.avi", clip(frames=12)[0])])
    alike = []
    for seed in range(20):
        (first, a), (second, b) = footage.pair(np.random.default_rng(seed))
        assert first.shape == second.shape == (120, 160, 3)
        parts = [
            cv2.getRectSubPix(image, (16, 16), (x + w / 2 - 0.5, y + h / 2 - 0.5)).astype(float)
            for image, (x, y, w, h) in ((first, a), (second, b))
        ]
        alike.append(np.corrcoef(parts[0].ravel(), parts[1].ravel())[0, 1])
    assert np.median(alike) > 0.8


def test_a_broken_video_is_named_and_left_out(tmp_path):
    (tmp_path / "broken.avi").write_bytes(b"no video")
    good = written(tmp_path / "clip.avi", clip()[0])
    with pytest.warns(UserWarning, match=r"broken\.avi: .*, left out"):
        assert len(Footage([tmp_path / "broken.avi", good]).shots) == 1
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(ValueError, match=r"no readable video in .*broken\.avi"),
    ):
        Footage([tmp_path / "broken.avi"])


@pytest.mark.parametrize("video", [False, True])
def test_labelled_frames_come_with_their_boxes(tmp_path, video):
    frames, boxes = clip()
    boxes[3] = np.nan
    where = written(tmp_path / "c.avi", frames) if video else images_of(tmp_path / "c", frames)
    labelled = Labelled([Sequence("c", where, boxes)])
    for seed in range(10):
        for image, box in labelled.pair(np.random.default_rng(seed)):
            index = int(np.flatnonzero((boxes == box).all(axis=1))[0])
            assert np.abs(image.astype(float) - frames[index]).mean() < 12  # compressed, if video


def test_missing_image_is_named_and_skipped(tmp_path):
    frames, boxes = clip(frames=4)
    paths = images_of(tmp_path / "c", frames)
    labelled = Labelled([Sequence("c", paths, boxes)])
    paths[0].unlink()
    with pytest.warns(UserWarning, match=r"c: .*0\.png.*left out"):
        pairs = [labelled.pair(np.random.default_rng(seed)) for seed in range(20)]
    assert all(len(pair) == 2 for pair in pairs)


def test_no_frame_with_a_box(tmp_path):
    frames, boxes = clip(frames=3)
    boxes[1:] = np.nan
    with pytest.raises(ValueError, match="no sequence has two frames with a box"):
        Labelled([Sequence("c", images_of(tmp_path / "c", frames), boxes)])
