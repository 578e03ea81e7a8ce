"""Scenes, warped photographs and camera effects: boxes are exact."""

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
from training.drawn import cutout, photograph, write_pictures

from siamcorr.data.synthetic import effects, photo_warps
from siamcorr.data.synthetic.actors import Actor
from siamcorr.data.synthetic.effects import degrade, motion_blur, relight
from siamcorr.data.synthetic.library import Library
from siamcorr.data.synthetic.photo_warps import photo_pair
from siamcorr.data.synthetic.scene_config import HEIGHT, WIDTH, SceneConfig
from siamcorr.data.synthetic.scenes import Scene

CALM = {"turn": 0, "zoom": 1, "stretch": 1, "tilt": 0}
WHITE = np.full((80, 80, 4), 255, np.uint8)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return Library([write_pictures(tmp_path_factory.mktemp("pictures") / "all")])


def seeded(*seed):
    return np.random.default_rng(seed)


def bounds(mask):
    """The box_xywh of a mask."""
    return cv2.boundingRect(mask.astype(np.uint8))


def black():
    return np.zeros((HEIGHT, WIDTH, 3), np.float32)


def clipped(box):
    x, y, w, h = box
    left, right = np.clip((x, x + w), 0, WIDTH)
    top, bottom = np.clip((y, y + h), 0, HEIGHT)
    return left, top, right - left, bottom - top


def test_same_seed_same_scene(library):
    for time in (0.0, 1.7):
        (image, box), (again, box_again) = (Scene(library, seeded(3)).frame(time) for _ in "ab")
        assert (image.shape, image.dtype.name) == ((360, 480, 3), "uint8")
        np.testing.assert_array_equal(image, again)
        assert box == box_again
        other, other_box = Scene(library, seeded(4)).frame(time)
        assert np.abs(image.astype(int) - other).mean() > 10
        assert box != other_box


def test_frames_come_in_any_order(library):
    scene = Scene(library, seeded(5))
    clip = list(scene.clip(4))
    for index in (3, 0, 2):
        image, box = scene.frame(index / 30)
        np.testing.assert_array_equal(clip[index][0], image)
        assert clip[index][1] == box


@pytest.mark.parametrize(("bend", "blur"), [(0, 2), (0.1, 3)])
@pytest.mark.parametrize("seed", range(6))
def test_box_is_where_the_target_is(library, seed, bend, blur):
    """The target alone, white on black; its pixels are compared with the box."""
    scene = Scene(library, seeded(seed), SceneConfig(bend=bend))
    scene.target.picture[:, :, :3] = 255
    for time in np.linspace(0, 3, 7):
        _, box = scene.clean_frame(time)
        image = black()
        scene.target.paste(image, time)
        assert bounds(image[:, :, 0] > 127) == pytest.approx(clipped(box), abs=blur)


def test_bending_changes_the_outline(library):
    """Same rotation and scale; only the bending differs."""
    outlines = []
    for bend in (0, 0.1):
        config = SceneConfig(bend=bend, turn=0, zoom=1, stretch=1, tilt=0, speed=0, photo_targets=0)
        target = Scene(library, seeded(3), config).target
        target.picture[:, :, :3] = 255
        shapes = []
        for time in (0, 0.7):
            image = black()
            target.paste(image, time)
            shapes.append(image[:, :, 0] > 127)
        outlines.append(np.logical_xor(*shapes).sum() / shapes[0].sum())
    assert outlines[0] == 0
    assert outlines[1] > 0.03


@pytest.mark.parametrize("seed", range(6))
def test_target_is_visible_in_its_box_only(library, seed):
    """A repainted target changes pixels in its box only, and is covered by the occluder only."""
    config = SceneConfig(occlusion=0, bend=0)
    frames = []
    for level in (0, 255):
        scene = Scene(library, seeded(seed), config)
        assert scene.occluder is None
        scene.target.picture = scene.target.picture.copy()
        scene.target.picture[:, :, :3] = level
        frames.append(scene.clean_frame(1.0))
    (dark, box), (light, same) = frames
    assert box == same
    assert bounds(np.ptp([dark, light], axis=0)[:, :, 0] > 127) == pytest.approx(
        clipped(box), abs=1
    )


@pytest.mark.parametrize(
    ("wave", "box"),
    [
        ((0, 0), (180, 120, 120, 120)),
        ((1, 1), (372, 264, 120, 120)),  # 12 and 24 pixels outside
        ((-1, 1), (-12, 264, 120, 120)),
        ((1, -1), (372, -24, 120, 120)),
    ],
)
def test_box_is_complete_at_the_border(wave, box):
    actor = Actor(WHITE, 120, seeded(0), SceneConfig(**CALM))
    actor.rates[:], actor.phases[:] = 0, 0
    actor.phases[:2] = np.arcsin(wave)
    image = black()
    assert actor.paste(image, 5.0) == pytest.approx(box, abs=1)
    x, y, w, h = clipped(box)
    assert image[:, :, 0].sum() / 255 == pytest.approx(w * h, rel=0.02)
    assert image[int(y) + 1 : int(y + h) - 1, int(x) + 1 : int(x + w) - 1].min() > 250


@pytest.mark.parametrize("size", [99, 100, 400, 640])
def test_pictures_of_any_size_are_centred(size):
    """Enlarged or shrunk, they are centred and symmetric."""
    actor = Actor(np.full((size, size, 4), 255, np.uint8), 100, seeded(0), SceneConfig(**CALM))
    actor.rates[:], actor.phases[:] = 0, 0
    image = black()
    assert actor.paste(image, 0.0) == pytest.approx((190, 130, 100, 100), abs=1)
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=4)


@pytest.mark.parametrize(
    ("changes", "phase", "box"),
    [  # of a picture twice as wide as high, with a side of 100
        ({}, None, (190, 155, 100, 50)),
        ({"zoom": 1.5}, 2, (165, 142.5, 150, 75)),
        ({"stretch": 1.2}, 3, (180, 159.2, 120, 41.7)),
        ({"turn": 90}, 4, (215, 130, 50, 100)),
    ],
)
def test_turn_zoom_and_stretch(changes, phase, box):
    actor = Actor(WHITE[:40], 100, seeded(0), SceneConfig(**{**CALM, **changes}))
    actor.rates[:], actor.phases[:] = 0, 0
    if phase is not None:
        actor.phases[phase] = math.pi / 2
    assert actor.paste(black(), 0.0) == pytest.approx(box, abs=1)


def test_tilt_makes_the_lower_side_longer():
    actor = Actor(WHITE, 100, seeded(0), SceneConfig(**{**CALM, "tilt": 0.15}))
    actor.rates[:], actor.phases[:] = 0, 0
    actor.phases[5] = math.pi / 2
    upper_left, upper_right, lower_right, lower_left = actor.corners(0.0)
    assert upper_right[0] - upper_left[0] == pytest.approx(85)
    assert lower_right[0] - lower_left[0] == pytest.approx(115)


@pytest.mark.parametrize("seed", range(6))
def test_clips_are_smooth(library, seed):
    scene = Scene(library, seeded(seed))
    boxes = np.array([scene.clean_frame(index / 30)[1] for index in range(60)])
    sides = np.sqrt(boxes[:, 2] * boxes[:, 3])
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    steps = np.hypot(*np.diff(middles, axis=0).T) / sides[1:]
    assert steps.max() < 0.7  # sides of its own
    assert np.ptp(middles, axis=0).max() > 10  # it moves
    for one, other in pairwise(boxes[:, 2:]):
        np.testing.assert_allclose(one, other, rtol=0.1, atol=2)


def test_number_of_distractors(library):
    alone = SceneConfig(distractors=0, occlusion=0)
    crowd = SceneConfig(distractors=6, occlusion=1)
    counts = []
    for seed in range(12):
        scene = Scene(library, seeded(seed), alone)
        assert scene.distractors == []
        assert scene.occluder is None
        scene = Scene(library, seeded(seed), crowd)
        assert scene.occluder is not None
        counts.append(len(scene.distractors))
    assert max(counts) <= 6
    assert len(set(counts)) > 3


def test_half_of_the_distractors_look_like_the_target(library):
    scenes = [Scene(library, seeded(seed), SceneConfig(photo_targets=1)) for seed in range(30)]
    twins = [
        np.array_equal(other.picture, scene.target.picture)
        for scene in scenes
        for other in scene.distractors
    ]
    assert 0.3 < np.mean(twins) < 0.7


@pytest.mark.parametrize("share", [0, 1])
def test_targets_from_cutouts_and_from_photographs(library, share, monkeypatch):
    monkeypatch.setattr(library, "cutout", lambda rng: cutout(0, (1, 2, 3)))
    for seed in range(8):
        picture = Scene(library, seeded(seed), SceneConfig(photo_targets=share)).target.picture
        solid = (picture[:, :, :3] == (1, 2, 3)).all()
        assert solid == (share == 0)
        assert (picture[:, :, 3] > 127).mean() > 0.2


def test_occluder_hides_the_target_but_not_its_box(library):
    scene = Scene(library, seeded(1), SceneConfig(occlusion=1))
    scene.occluder.corners = scene.target.corners
    scene.occluder.picture = WHITE.astype(np.float32)
    hidden, box = scene.clean_frame(1.0)
    scene.occluder = None
    _, same = scene.clean_frame(1.0)
    assert box == same
    x, y, w, h = (int(value) for value in clipped(box))
    assert (hidden[y : y + h, x : x + w] > 250).mean() > 0.6


# cameras


@pytest.mark.parametrize("shape", [(64, 64, 3), (37, 53, 3)])
def test_degrade_keeps_shape_and_dtype(shape):
    """For all kinds of camera effects."""
    image = photograph(0, shape[1], shape[0])
    taken = [degrade(image, seeded(0), scene) for scene in range(40)]
    assert {(one.shape, one.dtype.name) for one in taken} == {(shape, "uint8")}
    differences = [np.abs(one.astype(float) - image).mean() for one in taken]
    assert 1 < min(differences) < max(differences) < 80
    np.testing.assert_array_equal(degrade(image, seeded(0), 7), taken[7])
    assert image.tobytes() == photograph(0, shape[1], shape[0]).tobytes()


def test_camera_effects_are_fixed_per_scene():
    """The strength of noise is fixed per scene; its values differ per frame."""
    gray = np.full((64, 64, 3), 128, np.uint8)
    kinds = set()
    for scene in range(30):
        levels = [degrade(gray, seeded(frame), scene).astype(float).std() for frame in range(3)]
        assert max(levels) - min(levels) < 1
        kinds.add(levels[0] > 0.5)
    assert kinds == {False, True}


def test_relight_by_hand():
    """Contrast changes around the mean, so only the shift changes the mean."""
    image = photograph(0).astype(np.float32)
    for seed in range(10):
        lit = relight(image, seeded(seed), 0.2)
        assert (lit.shape, lit.dtype.name) == (image.shape, "float32")
        for channel in range(3):
            gain, shift = np.polyfit(image[:, :, channel].ravel(), lit[:, :, channel].ravel(), 1)
            assert 0.75 <= gain <= 1.25
            assert abs(shift - image.mean() * (1 - gain)) <= 25.6
    np.testing.assert_allclose(relight(image, seeded(0), 0.0), image, atol=1e-3)


def test_motion_blur_smears_a_dot_to_a_line():
    dot = np.zeros((41, 41, 3), np.float32)
    dot[20, 20] = 100
    areas = []
    for seed in range(40):
        blurred = motion_blur(dot, seeded(seed))
        assert (blurred.shape, blurred.dtype.name) == (dot.shape, "float32")
        assert blurred[:, :, 0].sum() == pytest.approx(100, rel=1e-5)
        x, y, w, h = bounds(blurred[:, :, 0] > 0.1)
        assert max(w, h) <= 9
        assert (x + (w - 1) / 2, y + (h - 1) / 2) == pytest.approx((20, 20), abs=1)
        areas.append((blurred[:, :, 0] > 0.1).sum())
    assert min(areas) < 3
    assert 6 < max(areas) <= 9


# warped photographs


@pytest.mark.parametrize("seed", range(8))
def test_second_view_shows_the_ellipse_in_its_box(seed, monkeypatch):
    """An ellipse painted into the first box is inside the second one."""
    first = (90.0, 60.0, 60.0, 40.0)
    monkeypatch.setattr(photo_warps, "_choose_part", lambda photo, rng: first)
    photo = cv2.convertScaleAbs(photograph(seed), alpha=0.5)
    ys, xs = np.mgrid[:180, :240] + 0.5
    photo[((xs - 120) / 30) ** 2 + ((ys - 80) / 20) ** 2 <= 1] = 255
    (one, box), (view, turned) = photo_pair(photo, seeded(seed))
    assert (one is photo, box) == (True, first)
    assert (view.shape, view.dtype.name) == (photo.shape, "uint8")
    assert bounds(view.min(axis=2) > 190) == pytest.approx(turned, abs=1.5)


def resized(image, box):
    """The box's content as a vector of mean 0 and length 1."""
    x, y, w, h = box
    affine = np.array([[w / 32, 0, x + w / 64 - 0.5], [0, h / 32, y + h / 64 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(cv2.blur(image, (5, 5)), affine, (32, 32), flags=flags)
    vector = patch.astype(float) - patch.mean(axis=(0, 1))
    return vector.ravel() / np.linalg.norm(vector)


def test_both_boxes_show_the_same():
    alike, beside, growth = [], [], []
    for seed in range(40):
        (photo, first), (view, (x, y, w, h)) = photo_pair(photograph(seed), seeded(seed))
        target = resized(photo, first)
        alike.append(target @ resized(view, (x, y, w, h)))
        beside.append(target @ resized(view, (x + w / 2, y + h / 2, w, h)))
        growth.append(math.sqrt(w * h / (first[2] * first[3])))
    assert np.median(alike) > 0.85
    assert np.percentile(alike, 10) > 0.6
    assert np.median(beside) < 0.3
    assert 0.75 < min(growth) < 0.9 < 1.1 < max(growth) < 1.4


def test_second_view_is_of_a_later_frame_where_there_is_one(monkeypatch):
    monkeypatch.setattr(photo_warps, "_choose_part", lambda photo, rng: (90.0, 60.0, 60.0, 40.0))
    early, late = photograph(0), photograph(1)
    (first, box), (view, turned) = photo_pair(early, seeded(0), late)
    (_, same), (expected, expected_box) = photo_pair(late, seeded(0))
    assert first is early
    assert (box, turned) == (same, expected_box)
    np.testing.assert_array_equal(view, expected)


def test_photo_pair_is_fixed_by_its_seed():
    pairs = [photo_pair(photograph(0), seeded(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(pairs[0][1][0], pairs[1][1][0])
    assert pairs[0][1][1] == pairs[1][1][1] != pairs[2][1][1]
    assert pairs[0][0][1] != pairs[2][0][1]


def test_first_box_is_in_the_part_with_contrast():
    """The left half of the photograph is uniform."""
    photo = photograph(0)
    photo[:, :120] = 60
    sides = []
    for seed in range(30):
        x, y, w, h = photo_pair(photo, seeded(seed))[0][1]
        assert 0 <= x < x + w <= 240
        assert 0 <= y < y + h <= 180
        sides.append(x + w > 120)
    assert np.mean(sides) > 0.9


def test_effects_are_used(library, monkeypatch):
    """A frame is the clean frame with the scene's camera effects."""
    scene = Scene(library, seeded(2))
    clean, _ = scene.clean_frame(0.5)
    expected = degrade(clean, np.random.default_rng([scene.seed, 500]), scene.seed)
    np.testing.assert_array_equal(scene.frame(0.5)[0], expected)
    assert effects.degrade is degrade
