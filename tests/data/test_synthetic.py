"""Synthetic clips: reproducible, with exact boxes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamcorr.data import ClipConfig, render_clip
from siamcorr.data.synthetic.clips import _paste, ellipse_box, texture

SMALL = ClipConfig(frames=5, width=160, height=120, target=40)


def small(**changes):
    return ClipConfig(**{**vars(SMALL), **changes})


def outside(box, shape, margin):
    """A mask of the pixels that lie farther than margin from box."""
    x, y, w, h = box
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside_x = (columns > x - margin) & (columns < x + w + margin)
    return ~(inside_x & (rows > y - margin) & (rows < y + h + margin))


def test_same_seed_same_clip():
    for (image, box), (again, box_again) in zip(
        render_clip(SMALL), render_clip(SMALL), strict=True
    ):
        np.testing.assert_array_equal(image, again)
        assert box == box_again


def test_another_seed_another_clip():
    image, box = next(render_clip(SMALL))
    other, other_box = next(render_clip(small(seed=1)))
    assert np.abs(image.astype(int) - other).mean() > 20
    assert box != other_box


def test_frames_are_what_the_config_says():
    frames = list(render_clip(SMALL))
    assert len(frames) == 5
    assert {(image.shape, image.dtype.name) for image, _ in frames} == {((120, 160, 3), "uint8")}


@pytest.mark.parametrize("seed", range(8))
def test_boxes_lie_in_the_frame_and_change(seed):
    config = small(frames=120, target=50, zoom=1.6, turn=40, travel=1, seed=seed)
    boxes = np.array([box for _, box in render_clip(config)])
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, 0] + boxes[:, 2]).max() <= 160
    assert (boxes[:, 1] + boxes[:, 3]).max() <= 120
    assert boxes[0, 2:].tolist() == pytest.approx([50, 35])  # not rotated yet: the axes themselves
    longest = boxes[:, 2:].max(axis=1)
    assert longest.min() >= 50 / 1.6 * 0.7
    assert longest.max() <= 50 * 1.6
    assert np.ptp(longest) > 5
    centers = boxes[:, :2] + boxes[:, 2:] / 2
    assert np.ptp(centers, axis=0).min() > 10
    assert np.abs(np.diff(centers, axis=0)).max() < 12  # it moves, it does not jump


def test_still_target():
    boxes = [box for _, box in render_clip(small(zoom=1, turn=0, travel=0))]
    assert boxes == [pytest.approx((60, 46, 40, 28))] * 5


@pytest.mark.parametrize("seed", range(3))
def test_target_fills_its_box_and_no_more(seed):
    """Pixels that differ from the static background form an ellipse inscribed in the box."""
    frames = list(render_clip(small(frames=100, turn=40, zoom=1.5, seed=seed)))
    ground = np.median([image for image, _ in frames], axis=0)
    for image, (x, y, w, h) in frames[::12]:
        changed = np.abs(image - ground).max(axis=2) > 14  # the noise has deviation 2
        assert not changed[outside((x, y, w, h), changed.shape, margin=1)].any()
        assert changed.sum() / (w * h) == pytest.approx(math.pi / 4, abs=0.06)
        rows, columns = np.nonzero(changed)
        sides = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        assert sides == pytest.approx((x, x + w, y, y + h), abs=1.5)


@given(a=st.floats(2, 60), b=st.floats(2, 60), angle=st.floats(-4, 4), x=st.floats(-9, 9))
def test_ellipse_box_against_sampled_points(a, b, angle, x):
    t = np.linspace(0, 2 * math.pi, 20_001)
    u, v = a * np.cos(t), b * np.sin(t)
    xs = x + u * math.cos(angle) - v * math.sin(angle)
    ys = 5 + u * math.sin(angle) + v * math.cos(angle)
    sampled = xs.min(), ys.min(), np.ptp(xs), np.ptp(ys)
    assert ellipse_box((x, 5), (a, b), angle) == pytest.approx(sampled, abs=1e-4)


def test_unturned_patch_comes_through_as_it_is(rng):
    patch = texture(rng, 20, 20, detail=2)
    pasted = _paste(np.zeros((60, 80, 3)), patch, center=(40, 30), axes=(10, 10), angle=0)
    inside = np.hypot(*(np.mgrid[:20, :20] - 9.5)) < 9
    np.testing.assert_allclose(pasted[20:40, 30:50][inside], patch[inside], atol=0.5)
    assert pasted[19].max() == pasted[40].max() == 0


def test_outline_turns_with_the_patch():
    """The box does not show the direction: it is the same for the opposite rotation."""
    white = np.full((40, 40, 3), 255.0)
    pasted = _paste(np.zeros((60, 80, 3)), white, center=(40, 30), axes=(20, 6), angle=0.5)
    x, y = 17 * math.cos(0.5), 17 * math.sin(0.5)  # well inside the long axis, which points down
    for sign in (-1, 1):
        assert pasted[int(30 + sign * y), int(40 + sign * x)].min() == 255
        assert pasted[int(30 - sign * y), int(40 + sign * x)].max() == 0


def test_texture_uses_its_range(rng):
    picture = texture(rng, 50, 30, detail=4)
    assert picture.shape == (30, 50, 3)
    np.testing.assert_allclose(picture.min(axis=(0, 1)), 20)
    np.testing.assert_allclose(picture.max(axis=(0, 1)), 235)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"frames": 0}, "frames and zoom must be >= 1"),
        ({"zoom": 0.9}, "frames and zoom must be >= 1"),
        ({"travel": 1.1}, "travel must lie in 0..1"),
        ({"travel": -0.1}, "travel must lie in 0..1"),
        ({"target": 4}, "8 pixels or more"),
        ({"target": 100}, "fit into the frame"),  # 100 * 1.4 > 120
    ],
)
def test_config_errors(changes, text):
    with pytest.raises(ValueError, match=text):
        small(**changes)
