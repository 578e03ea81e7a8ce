"""Clips in which the target disappears and comes back: boxes and pixels."""

import numpy as np
import pytest

from siamcorr.data.synthetic.return_clips import KINDS, ReturnConfig, render_return

SHORT = {"before": 12, "away": 6, "after": 40, "width": 320, "height": 180, "target": 40.0}


def clip(**changes):
    return [*render_return(ReturnConfig(**{**SHORT, **changes}))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 3])
def test_target_disappears_and_comes_back_elsewhere(kind, seed):
    frames = clip(kind=kind, seed=seed)
    assert len(frames) == 58
    assert {(image.shape, image.dtype) for image, _ in frames} == {((180, 320, 3), np.dtype("u1"))}
    seen = [box is not None for _, box in frames]
    assert all(seen[:6])
    assert not any(seen[12:18])
    assert all(seen[-10:])
    assert seen == sorted(seen[:12], reverse=True) + sorted(seen[12:])
    assert frames[-1][1][0] - frames[0][1][0] > 150


@pytest.mark.parametrize("kind", KINDS)
def test_the_box_contains_the_target(kind):
    """A white target over a black background is inside its box."""
    white = np.full((40, 30, 4), 255, np.uint8)
    grey = white // 3
    ground = np.zeros((180, 320, 3), np.uint8)
    config = ReturnConfig(kind=kind, **SHORT)
    for image, box in render_return(config, (white, grey), ground):
        rows, columns = np.nonzero(image.min(axis=2) > 230)
        if box is None:
            assert len(rows) <= 0.5 * 40 * 30
            continue
        x, y, w, h = box
        inside = max(columns.min(), x), min(columns.max() + 1, x + w)
        assert rows.min() == max(0, y)
        assert rows.max() + 1 == min(180, y + h)
        assert inside == (columns.min(), columns.max() + 1)


def test_the_seed_determines_the_clip():
    one, same, other = (clip(seed=seed)[5] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], same[0])
    assert one[1] == same[1]
    assert (one[0] != other[0]).any()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "flies"}, "kind must be one of leaves, covered, look-alike, got 'flies'"),
        ({"away": 1}, "2 frames or more"),
        ({"target": 90.0}, "less than half the frame"),
    ],
)
def test_errors(changes, text):
    with pytest.raises(ValueError, match=text):
        ReturnConfig(**{**SHORT, **changes})
