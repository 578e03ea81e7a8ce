"""Overlaps with polygons: equal to the got10k toolkit's, and to known values."""

import builtins
import math

import numpy as np
import pytest

from siamcorr.evaluation import overlaps, polygon_overlaps, score, truth_overlaps
from siamcorr.evaluation.box_errors import corners_of

pytest.importorskip("shapely")

BOX = np.array([[10.0, 20, 10, 20]])
SQUARE = np.array([[0.0, 0, 4, 4]])
DIAMOND = np.array([[2.0, 0, 4, 2, 2, 4, 0, 2]])  # of half the square
BOW = np.array([[0.0, 0, 4, 4, 4, 0, 0, 4]])  # two triangles that meet in the middle


def tilted(rng, count=100):
    """Rectangles turned by any angle, some of them beyond a frame of 60x80, and boxes near."""
    center, half = rng.uniform(-5, 75, (count, 1, 2)), rng.uniform(2, 20, (count, 1, 2))
    angle = rng.uniform(0, math.pi, count)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    polygons = center + np.einsum("ijn,nkj->nki", turn, corners)
    boxes = np.hstack([center[:, 0] - half[:, 0], 2 * half[:, 0]]) + rng.normal(0, 4, (count, 4))
    boxes[:, 2:] = boxes[:, 2:].clip(0)
    return boxes, polygons.reshape(count, 8)


@pytest.mark.parametrize("size", [None, (60, 80)])
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_toolkit(seed, size):
    metrics = pytest.importorskip("got10k.utils.metrics")
    boxes, polygons = tilted(np.random.default_rng(seed))
    before = boxes.copy(), polygons.copy()
    expected = metrics.poly_iou(polygons, boxes, bound=size and (size[1], size[0]))
    assert 0.2 < (expected > 0.3).mean() < 1
    np.testing.assert_allclose(polygon_overlaps(boxes, polygons, size), expected, atol=1e-12)
    np.testing.assert_array_equal(boxes, before[0])
    np.testing.assert_array_equal(polygons, before[1])


@pytest.mark.parametrize("size", [None, (60, 80)])
def test_scores_are_of_the_polygons(rng, size):
    boxes, polygons = tilted(rng)
    points = polygons.reshape(-1, 4, 2)
    truth = np.hstack([points.min(axis=1), np.ptp(points, axis=1)])
    iou = polygon_overlaps(boxes, polygons, size)
    found, plain = score(boxes, truth, size, polygons), score(boxes, truth, size)
    assert found.ao == pytest.approx(iou[1:].mean())
    assert found.sr50 == pytest.approx((iou[1:] > 0.5).mean())
    assert found.success_curve[10] == pytest.approx((iou > 0.5).mean())
    assert found.success != pytest.approx(plain.success, abs=1e-3)
    assert found.precision == plain.precision
    assert found.norm_precision == plain.norm_precision


def test_a_box_as_a_polygon(rng):
    boxes, _ = tilted(rng)
    truth = np.abs(boxes + rng.normal(0, 3, boxes.shape))
    expected = overlaps(boxes, truth)
    np.testing.assert_allclose(polygon_overlaps(boxes, corners_of(truth)), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("box", "polygon", "size", "value"),
    [
        (SQUARE, DIAMOND, None, 1 / 2),
        (SQUARE, BOW, None, 1 / 2),
        (np.array([[0.0, 0, 2, 4]]), DIAMOND, None, 4 / 12),
        (SQUARE, DIAMOND, (4, 2), 1 / 2),  # the left halves
        (np.array([[0.0, 3, 4, 4]]), DIAMOND, (2, 4), 0.0),  # they meet beyond the frame alone
        (SQUARE * 0, DIAMOND, None, 0.0),
        (SQUARE * math.nan, DIAMOND, None, 0.0),
        (SQUARE, DIAMOND * math.nan, None, math.nan),
        (SQUARE, DIAMOND * [[1, 1, 1, 1, 1, 1, 1, math.nan]], None, math.nan),
    ],
)
def test_known_values(box, polygon, size, value):
    found = polygon_overlaps(box, polygon, size)
    assert found == pytest.approx([value], nan_ok=True)


def test_frames_without_a_polygon_have_their_box():
    boxes = np.tile(SQUARE, (4, 1))
    truth = np.tile([0.0, 0, 4, 4], (4, 1))
    polygons = np.tile(DIAMOND, (4, 1))
    truth[1], polygons[2], truth[3] = math.nan, math.nan, [2, 0, 4, 4]
    polygons[3] = math.nan
    expected = [1 / 2, math.nan, 1, 1 / 3]
    assert truth_overlaps(boxes, truth, polygons) == pytest.approx(expected, nan_ok=True)
    expected[3] = 2 / 4  # all of it cut to the frame
    found = truth_overlaps(boxes, truth, polygons, (4, 4))
    assert found == pytest.approx(expected, nan_ok=True)


def test_without_shapely(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "shapely":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ModuleNotFoundError, match=r"shapely: pip install 'siamcorr\[eval\]'"):
        polygon_overlaps(SQUARE, DIAMOND)
    assert truth_overlaps(SQUARE, SQUARE, None).tolist() == [1.0]  # boxes need none
