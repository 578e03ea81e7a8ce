"""Effects on a target: deformed and smeared inside its box, the picture around it as before."""

import cv2
import numpy as np
import pytest

from siamcorr.data.synthetic.effects import deform, smear

CORNERS = (100, 80, 160, 150)
AWAY = [(-190.0, -160.0, -120.0, -110.0), (300.0, 20.0, 340.0, 60.0)]
TINY = (40.0, 40.0, 40.5, 40.2)


def picture():
    """A green rectangle in the middle of random gray."""
    image = np.random.default_rng(0).integers(0, 100, (240, 255, 1), dtype=np.uint8).repeat(3, 2)
    left, top, right, bottom = CORNERS
    image[top:bottom, left:right] = (0, 255, 0)
    return image


def green(image):
    return (image[..., 1] > 175) & (image[..., 0] < 110)


@pytest.mark.parametrize("effect", [deform, smear])
def test_only_the_target_and_its_surroundings_change(effect):
    image = picture()
    result = effect(image, CORNERS, np.random.default_rng(1))
    changed = result[0] if effect is deform else result
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(image, picture())
    x, y, w, h = cv2.boundingRect((changed != image).any(axis=2).astype(np.uint8))
    left, top, right, bottom = CORNERS
    assert left - 30 <= x < left < right < x + w <= right + 30  # half its size around it
    assert top - 35 <= y < top < bottom < y + h <= bottom + 35


def test_corners_move_with_the_target():
    """They are nearer to the deformed target's own bounds than the corners before."""
    errors = []
    for seed in range(40):
        changed, corners = deform(picture(), CORNERS, np.random.default_rng(seed))
        columns, rows = (green(changed).sum(axis=axis) for axis in (0, 1))
        # A wavy edge is where half of its length is green.
        across, down = (np.flatnonzero(line > line.max() / 2) for line in (columns, rows))
        own = np.array([across[0], down[0], across[-1] + 1, down[-1] + 1])
        errors.append([np.abs(own - corners).mean(), np.abs(own - CORNERS).mean()])
    with_deform, without = np.mean(errors, axis=0)
    assert with_deform < 2.5
    assert without > 1.8 * with_deform


def test_a_smear_keeps_the_brightness_and_softens_edges():
    image = np.full((240, 255, 3), 60, np.uint8)
    left, top, right, bottom = CORNERS
    image[top + 20 : bottom - 20, left + 20 : right - 20] = 200
    changed = smear(image, CORNERS, np.random.default_rng(2)).astype(float)
    assert changed.mean() == pytest.approx(image.mean(), rel=0.01)
    slopes = [
        np.abs(np.diff(one.astype(float), axis=axis)).max()
        for one in (image, changed)
        for axis in (0, 1)
    ]
    assert min(slopes[2:]) < 0.5 * min(slopes[:2])


@pytest.mark.parametrize("corners", [*AWAY, TINY, (-100.0, 50.0, 400.0, 100.0)])
def test_any_box_is_taken(corners):
    """Outside of the crop, larger than it, or smaller than a pixel."""
    image = picture()
    changed, moved = deform(image, corners, np.random.default_rng(3))
    assert np.isfinite(moved).all()
    assert changed.shape == image.shape
    smeared = smear(image, corners, np.random.default_rng(3))
    if corners in AWAY:
        assert np.array_equal(changed, image)
        assert np.array_equal(smeared, image)
        np.testing.assert_allclose(moved, corners)


def test_the_same_generator_gives_the_same_effect():
    for effect in (deform, smear):
        one, other = (effect(picture(), CORNERS, np.random.default_rng(4)) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
