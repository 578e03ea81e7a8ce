"""Any bytes as a picture or a message to the page: an answer or a refusal, soon, and small."""

import tracemalloc

import cv2
import numpy as np
import pytest
from fuzz.values import VALUES
from hypothesis import given, settings
from hypothesis import strategies as st

from siamcorr.web import Limits
from siamcorr.web.messages import decode_frame, jpeg_size, read_box, read_command

pytest.importorskip("aiohttp")
fuzz = settings.get_profile("fuzz")
LIMITS = Limits(frame_pixels=320 * 240, frame_side=400)
NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
JPEG = cv2.imencode(".jpg", NOISE)[1].tobytes()


def unless_refused(call, *args):
    """What a call returns, or None where it refuses its input in a line."""
    refusal = ""
    try:
        return call(*args)
    except ValueError as error:
        refusal = str(error)
    assert 0 < len(refusal) < 300
    return None


def decoded(data):
    """The shape of the picture, or None where it is refused."""
    image = unless_refused(decode_frame, data, LIMITS)
    if image is None:
        return None
    assert image.dtype == np.uint8
    assert image.shape[0] * image.shape[1] <= LIMITS.frame_pixels
    return image.shape


@fuzz
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda x: JPEG[:3] + x + JPEG[-2:]))
def test_any_bytes(data):
    decoded(data)


@fuzz
@given(st.lists(st.tuples(st.integers(2, len(JPEG) - 3), st.binary(min_size=1, max_size=4))))
def test_a_jpeg_with_bytes_changed(changes):
    data = bytearray(JPEG)
    for place, new in changes:
        data[place : place + len(new)] = new
    decoded(bytes(data[:-2]) + JPEG[-2:])


@fuzz
@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 40), st.binary(max_size=40)), max_size=8)
)
def test_segments_of_any_kind_before_the_header(segments):
    """Whatever a segment says: the picture is as large as the check has found, or is refused."""
    before = b"".join(
        bytes([0xFF, marker]) + length.to_bytes(2) + content for marker, length, content in segments
    )
    assert decoded(JPEG[:2] + before + JPEG[2:]) in (None, NOISE.shape)


def huge():
    """A header of 12000 x 12000 in a segment that decoders skip and readers of sizes may not."""
    start = JPEG.index(b"\xff\xc0")
    real = bytearray(JPEG)
    real[start + 5 : start + 9] = (12000).to_bytes(2) * 2
    return bytes(real)


def hidden():
    """A marker 00 is no segment for decoders: what it covers is the header that they read."""
    real = huge()
    start = real.index(b"\xff\xc0")
    small = JPEG[JPEG.index(b"\xff\xc0") : JPEG.index(b"\xff\xc0") + 19]
    cover = b"\xff\x00" + (2 + 19).to_bytes(2)
    return real[:start] + cover + real[start : start + 19] + small + real[start + 19 :]


def many_scans():
    start = JPEG.index(b"\xff\xda")
    scan = JPEG[start : start + 14]
    return JPEG[:start] + scan * 100_000 + JPEG[start:]


def later_header():
    """A second header behind the first."""
    start = JPEG.index(b"\xff\xc0")
    return JPEG[: start + 19] + huge()[start:]


@pytest.mark.parametrize("make", [huge, hidden, many_scans, later_header])
def test_pictures_that_are_larger_than_they_look(make, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert decoded(make()) is None


def test_a_refusal_keeps_no_memory():
    decoded(JPEG)
    tracemalloc.start()
    try:
        for _ in range(20):
            assert decoded(many_scans()) is None
        assert tracemalloc.get_traced_memory()[0] < 1 << 20
    finally:
        tracemalloc.stop()


def test_pictures_as_cameras_write_them_are_taken():
    for options in ([], [cv2.IMWRITE_JPEG_RST_INTERVAL, 1], [cv2.IMWRITE_JPEG_OPTIMIZE, 1]):
        data = cv2.imencode(".jpg", NOISE, options)[1].tobytes()
        assert jpeg_size(data) == (32, 24)
        assert decoded(data) == NOISE.shape


@fuzz
@given(st.text(max_size=200) | VALUES.map(str))
def test_any_text(text):
    command = unless_refused(read_command, text, LIMITS)
    assert command is None or isinstance(command["type"], str)


@fuzz
@given(VALUES | st.lists(VALUES, min_size=4, max_size=4))
def test_any_box(value):
    box = unless_refused(read_box, value)
    assert box is None or np.isfinite(box).all()
