"""Crops: a plain reference at every border, and mapping back to the frame."""

import cv2
import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamcorr.tracking import crops
from siamcorr.tracking.batching import crops_to_tensor
from siamcorr.tracking.crops import context_box, context_side, crop_box, mean_color

FRAME = np.random.default_rng(0).integers(0, 256, size=(24, 32, 3), dtype=np.uint8)


@settings(max_examples=200, deadline=None)
@given(x=st.floats(-60, 90), y=st.floats(-60, 90), side=st.integers(1, 40))
def test_equal_to_the_reference_inside_across_and_outside_the_border(x, y, side):
    fill = (10.0, 20.0, 30.0)
    crop = crop_box(FRAME, (x, y), (side, side), side, fill)  # without a change of scale
    expected = reference.crop(FRAME, crop.left, crop.top, side, np.array(fill))
    np.testing.assert_array_equal(crop.image, expected)
    assert abs(crop.left + side / 2 - x) <= 0.5 + 1e-9
    assert abs(crop.top + side / 2 - y) <= 0.5 + 1e-9


@given(x=st.floats(5, 27), y=st.floats(5, 19), side=st.floats(3, 20), size=st.integers(8, 64))
@settings(deadline=None)
def test_mapping_back(x, y, side, size):
    """The middle of the crop is the requested centre, up to one pixel of rounding."""
    crop = crop_box(FRAME, (x, y), (side, side), size, (0, 0, 0))
    assert crop.image.shape == (size, size, 3)
    assert crop.to_frame(size / 2, size / 2) == pytest.approx((x, y), abs=0.51)
    assert crop.to_frame(0, 0) == (crop.left, crop.top)
    end = crop.left + crop.width, crop.top + crop.height
    assert crop.to_frame(size, size) == pytest.approx(end)


def test_resizing_keeps_positions():
    """`to_frame` finds a bright square in a crop that was enlarged three times."""
    frame = np.zeros((60, 60, 3), np.uint8)
    frame[20:30, 25:40] = 255
    crop = crop_box(frame, (30, 30), (40, 40), 120, (0, 0, 0))
    rows, columns = np.nonzero(crop.image[:, :, 0] > 127)
    first = crop.to_frame(columns.min(), rows.min())
    last = crop.to_frame(columns.max() + 1, rows.max() + 1)
    assert first == pytest.approx((25, 20), abs=0.34)
    assert last == pytest.approx((40, 30), abs=0.34)


def test_frame_is_not_written_to():
    before = FRAME.copy()
    crop_box(FRAME, (0, 0), (30, 30), 127, mean_color(FRAME)).image[:] = 0
    np.testing.assert_array_equal(FRAME, before)


def test_context_side():
    assert context_side(40, 40) == pytest.approx(80)
    assert context_side(10, 30, context=0) == pytest.approx(300**0.5)


@pytest.mark.parametrize(
    ("size", "context", "keep_ratio", "sides"),
    [
        ((40, 40), 0.5, True, (80, 80)),
        ((40, 40), 0.5, False, (80, 80)),
        ((10, 30), 1.0, False, (30, 90)),
        ((10, 30), 0.0, False, (10, 30)),
        ((10, 30), 1.0, True, (3500**0.5, 3500**0.5)),
        ((10, 30), 0.0, True, (300**0.5, 300**0.5)),
    ],
)
def test_context_box(size, context, keep_ratio, sides):
    assert context_box(*size, context, keep_ratio) == pytest.approx(sides)


@settings(deadline=None)
@given(x=st.floats(-40, 70), y=st.floats(-40, 60), w=st.floats(1, 60), h=st.floats(1, 60))
def test_two_sides_mapping_back(x, y, w, h):
    """Each axis has its own scale; the middle is kept on both."""
    crop = crop_box(FRAME, (x, y), (w, h), 16, (0, 0, 0))
    assert crop.image.shape == (16, 16, 3)
    assert (crop.width, crop.height) == (round(w), round(h))
    assert crop.to_frame(8, 8) == pytest.approx((x, y), abs=0.5 + 1e-9)
    assert crop.to_frame(16, 4) == (crop.left + crop.width, crop.top + crop.height / 4)
    assert crop.scale == 16 / crop.width


@pytest.mark.parametrize("sides", [(40, 20), (20, 40), (80, 40), (40, 80)])
def test_two_sides_keep_positions(sides):
    """`to_frame` finds a bright box on both axes in a stretched crop."""
    frame = np.zeros((60, 60, 3), np.uint8)
    frame[24:30, 27:39] = 255
    crop = crop_box(frame, (31, 28), sides, 160, (0, 0, 0))
    rows, columns = np.nonzero(crop.image[:, :, 0] > 127)
    first = crop.to_frame(columns.min(), rows.min())
    last = crop.to_frame(columns.max() + 1, rows.max() + 1)
    assert first == pytest.approx((27, 24), abs=0.34)
    assert last == pytest.approx((39, 30), abs=0.34)


def test_mean_color():
    assert mean_color(FRAME) == pytest.approx(FRAME.reshape(-1, 3).mean(axis=0))


def test_a_square_many_times_the_frame_is_sampled_alike():
    """Both ways to cut agree at the side where the code switches between them."""
    smooth = cv2.resize(FRAME, (64, 48), interpolation=cv2.INTER_CUBIC)
    padded = crop_box(smooth, (30, 20), (128, 128), 64, (9, 9, 9)).image.astype(int)
    sampled = crops._sample(smooth, (30 - 64, 20 - 64), (2.0, 2.0), 64, (9, 9, 9)).astype(int)
    assert abs(padded - sampled).max() <= 2
    huge = crop_box(smooth, (30, 20), (1e6, 1e6), 127, (9, 9, 9))
    assert huge.image.shape == (127, 127, 3)
    assert (huge.width, huge.height) == (1_000_000, 1_000_000)


@pytest.mark.parametrize("sides", [(128, 64), (64, 128), (96, 32)])
def test_sampling_with_two_steps(sides):
    """Equal to the padded way on both axes, for a box that is wider or higher."""
    smooth = cv2.resize(FRAME, (64, 48), interpolation=cv2.INTER_CUBIC)
    padded = crop_box(smooth, (30, 20), sides, 32, (9, 9, 9))
    assert max(sides) <= 2 * max(smooth.shape[:2])
    corner, step = (padded.left, padded.top), (sides[0] / 32, sides[1] / 32)
    sampled = crops._sample(smooth, corner, step, 32, (9, 9, 9))
    assert abs(padded.image.astype(int) - sampled.astype(int)).max() <= 2
    turned = crops._sample(smooth, corner, step[::-1], 32, (9, 9, 9))
    assert abs(padded.image.astype(int) - turned.astype(int)).max() > 20


def test_a_long_box_many_times_the_frame():
    """It is sampled, and both of its sides keep their positions."""
    frame = np.zeros((60, 60, 3), np.uint8)
    frame[10:50, 10:50] = 255
    crop = crop_box(frame, (30, 30), (480, 120), 120, (0, 0, 0))
    rows, columns = np.nonzero(crop.image[:, :, 0] > 127)
    assert crop.to_frame(columns.min(), rows.min()) == pytest.approx((10, 10), abs=2)
    assert crop.to_frame(columns.max() + 1, rows.max() + 1) == pytest.approx((50, 50), abs=2)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_tensor_of_crops(color, layout):
    """Crops become one tensor in the network's order of colours, in either memory format."""
    cut = [crop_box(FRAME, (x, 9), (12, 12), 11, (1, 2, 3)) for x in (2, 20)]
    tensor = crops_to_tensor(cut, color, torch.device("cpu"), layout)
    assert tensor.is_contiguous(memory_format=layout)
    order = slice(None) if color == "rgb" else slice(None, None, -1)
    expected = np.stack([crop.image.transpose(2, 0, 1)[order] for crop in cut])
    np.testing.assert_array_equal(tensor.numpy(), expected.astype(np.float32))
