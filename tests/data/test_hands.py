"""Hands: they reach in from outside the frame, move with the object, and do not change its box."""

import cv2
import numpy as np
import pytest
from training.drawn import write_pictures

from siamcorr.data.synthetic.hands import Hand
from siamcorr.data.synthetic.library import Library
from siamcorr.data.synthetic.scene_config import HEIGHT, WIDTH, SceneConfig
from siamcorr.data.synthetic.scenes import Scene

GREY = 100.0
SQUARE = np.array([(200, 130), (280, 130), (280, 210), (200, 210)], np.float32)


def drawn(draw, corners=SQUARE):
    """Mask of the pixels that a part of a hand covers."""
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.float32)
    draw(image, corners)
    return np.abs(image - GREY).max(axis=2) > 1


def hand(seed):
    made = Hand(np.random.default_rng(seed))
    made.color = np.array([200.0, 40.0, 40.0])
    return made


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return Library([write_pictures(tmp_path_factory.mktemp("pictures") / "all")])


@pytest.mark.parametrize("seed", range(8))
def test_arm_reaches_from_the_object_out_of_the_frame(seed):
    arm = drawn(hand(seed).paste_arm)
    border = np.concatenate([arm[0], arm[-1], arm[:, 0], arm[:, -1]])
    assert border.any()
    assert arm[130:210, 200:280].any()
    assert cv2.connectedComponents(arm.astype(np.uint8))[0] == 2  # the background, and one arm


@pytest.mark.parametrize("seed", range(8))
def test_fingers_are_on_the_object(seed):
    fingers = drawn(hand(seed).paste_fingers)
    assert fingers[130:210, 200:280].sum() > 0.4 * fingers.sum()
    assert 0.01 < fingers[130:210, 200:280].mean() < 0.9


def test_fingers_move_rotate_and_scale_with_the_object():
    one = hand(3)
    here = drawn(one.paste_fingers)
    there = drawn(one.paste_fingers, SQUARE + np.float32([60, -40]))
    np.testing.assert_array_equal(np.roll(here, (-40, 60), (0, 1)), there)
    turned = drawn(one.paste_fingers, np.roll(SQUARE, 1, axis=0))[130:210, 200:280]
    upright = here[130:210, 200:280]
    assert np.mean(turned == np.rot90(upright)) > 0.95
    middle = SQUARE.mean(axis=0)
    large = drawn(one.paste_fingers, middle + 2 * (SQUARE - middle))
    assert 3 < large.sum() / here.sum() < 4.5


def test_a_hand_far_away_is_not_drawn():
    """It must also neither fail nor take long."""
    away = np.float32([-9000, 9000])
    assert not drawn(hand(0).paste_fingers, SQUARE + away).any()
    drawn(hand(0).paste_arm, SQUARE + away)


def test_the_box_is_that_of_the_object(library):
    for seed in range(6):
        scene = Scene(library, np.random.default_rng(seed), SceneConfig(held=1))
        held, box = scene.clean_frame(0.7)
        scene.hand = None
        free, same = scene.clean_frame(0.7)
        assert box == same
        assert (held != free).any()


def test_the_arm_is_behind_and_the_fingers_in_front(library):
    scene = Scene(library, np.random.default_rng(0), SceneConfig(held=1, occlusion=0, bend=0))
    scene.target.picture = np.full((80, 80, 4), 255, np.float32)
    scene.target.corners = lambda time: SQUARE
    scene.hand = hand(2)
    inside = (slice(135, 205), slice(205, 275))
    assert (scene.clean_frame(0.0)[0][inside] < 250).any()
    scene.hand.count = 0
    assert (scene.clean_frame(0.0)[0][inside] > 250).all()


def test_how_many_are_held(library):
    scenes = [Scene(library, np.random.default_rng(s), SceneConfig(held=0.3)) for s in range(60)]
    assert 0.1 < np.mean([scene.hand is not None for scene in scenes]) < 0.5
    assert Scene(library, np.random.default_rng(0)).hand is None


def test_no_random_draw_if_held_is_zero(library):
    """With held=0, the generator's next draws are the same as before hands existed."""
    never, hardly = np.random.default_rng(7), np.random.default_rng(7)
    Scene(library, never, SceneConfig(held=0))
    Scene(library, hardly, SceneConfig(held=1e-9))
    assert list(never.random(3)[1:]) == list(hardly.random(2))
