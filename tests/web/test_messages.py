"""Messages: valid ones, and errors of invalid ones."""

import struct

import cv2
import numpy as np
import pytest

from siamcorr.web import Limits
from siamcorr.web.limits import Pace
from siamcorr.web.messages import decode_frame, jpeg_size, read_box, read_command

LIMITS = Limits(frame_pixels=160 * 120, frame_side=200)


def picture(width=160, height=120):
    """An image with a red left half and a blue right half."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = image[:, width // 2 :, 2] = 200
    return image


def header(width, height, marker=0xC0, before=b""):
    """A JPEG's first and last bytes, with nothing between."""
    start = bytes([0xFF, marker]) + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8" + before + start + b"\xff\xd9"


# frames


def test_colours_and_shape(jpeg):
    frame = decode_frame(jpeg(picture()), LIMITS)
    assert (frame.shape, frame.dtype) == ((120, 160, 3), np.uint8)
    np.testing.assert_allclose(frame[60, 20], (200, 0, 0), atol=6)
    np.testing.assert_allclose(frame[60, 140], (0, 0, 200), atol=6)


@pytest.mark.parametrize(("width", "height"), [(160, 120), (7, 31), (1, 1)])
def test_size_is_read_from_the_header(width, height, jpeg):
    assert jpeg_size(jpeg(picture(width, height))) == (width, height)


@pytest.mark.parametrize(
    "before",
    [
        b"\xff\xe0\x00\x04ab",
        b"\xff\xff\xff\xe1\x00\x03x",  # a marker may have fill bytes
        b"\xff\x01\xff\xd0",  # these two have no length
        b"\xff\xc4\x00\x05abc",  # a table, although its number is among those of frames
        b"\xff\xe1\x00\x0a\xff\xc0\x00\x0b\x08\x00\x01\x00",  # a frame inside a segment is ignored
    ],
)
def test_size_after_other_segments(before):
    assert jpeg_size(header(300, 200, before=before)) == (300, 200)


def test_a_huge_picture_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for width, height in ((65535, 65535), (161, 120), (201, 2)):
        with pytest.raises(ValueError, match=f"19200 pixels and 200 a side, got {width}x{height}"):
            decode_frame(header(width, height), LIMITS)


def other_format(suffix):
    return cv2.imencode(suffix, picture())[1].tobytes()


def progressive():
    return cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()


BROKEN = {
    "nothing": (b"", "must be a complete JPEG, got 0 bytes"),
    "noise": (bytes(range(256)), "must be a complete JPEG, got 256 bytes"),
    "png": (other_format(".png"), "must be a complete JPEG"),
    "cut off": (other_format(".jpg")[:-200], "must be a complete JPEG"),
    "progressive": (progressive(), "must be a baseline JPEG"),
    "no width": (header(0, 120), "must be a baseline JPEG with a size"),
    "no height": (header(160, 0), "must be a baseline JPEG with a size"),
    "no frame": (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xd9", "must be a baseline JPEG"),
    "length 0": (header(160, 120, before=b"\xff\xe0\x00\x00"), "must be a baseline JPEG"),
    "length beyond": (b"\xff\xd8\xff\xe0\xff\xff\xff\xd9", "must be a baseline JPEG"),
    "gap": (header(160, 120, before=b"\xff\xe0\x00\x02\x00"), "must be a baseline JPEG"),
    "no pixels": (header(16, 16), "that cannot be decoded"),
}


@pytest.mark.parametrize(("data", "text"), BROKEN.values(), ids=BROKEN)
def test_broken_pictures(data, text):
    with pytest.raises(ValueError, match=f"^frame: .*{text}"):
        decode_frame(data, LIMITS)


def test_random_damage_is_a_picture_or_a_value_error(jpeg, rng):
    data = jpeg(picture(40, 30))
    for _ in range(200):
        damaged = bytearray(data)
        for place in rng.integers(2, len(data) - 2, size=4):
            damaged[place] = rng.integers(256)
        try:
            frame = decode_frame(bytes(damaged), LIMITS)
        except ValueError:
            continue
        assert frame.shape[0] * frame.shape[1] <= LIMITS.frame_pixels


# commands


def test_command():
    assert read_command('{"type": "add", "box": [1, 2, 3, 4]}', LIMITS)["box"] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be JSON, got ''"),
        ("{", "must be JSON"),
        ("[" * 1999, "must be JSON"),
        ("9" * 1999, "must be an object"),
        ("[]", "must be an object with a type"),
        ("null", "must be an object with a type"),
        ('{"box": [1, 2, 3, 4]}', "must be an object with a type"),
        ('{"type": ["add"]}', "must be an object with a type"),
        (" " * 2001, "at most 2000 characters, got 2001"),
    ],
)
def test_wrong_commands(text, said):
    with pytest.raises(ValueError, match=f"^command: {said}") as caught:
        read_command(text, LIMITS)
    assert len(str(caught.value)) < 120


def test_box():
    assert read_box([1, 2.5, 3, 4]) == (1, 2.5, 3, 4)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1,2,3,4",
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [1, 2, 3, "4"],
        [1, 2, 3, True],
        [1, 2, 3, None],
        [1, 2, 3, float("nan")],
        [1, 2, 3, float("inf")],
        [1, 2, 3, 10**400],
        {"x": 1},
    ],
)
def test_wrong_boxes(value):
    with pytest.raises(ValueError, match=r"^box: must be four numbers x, y, w, h, got ") as caught:
        read_box(value)
    assert len(str(caught.value)) < 130


# limits


def test_limits_are_checked():
    with pytest.raises(ValueError, match="targets must be >= 1, got 0"):
        Limits(targets=0)


def test_pace_limits_the_rate():
    pace, now, passed = Pace(rate=20), 100.0, []
    for _ in range(100):
        now += pace.delay(now)
        passed.append(now)
    assert passed[-1] - passed[0] == pytest.approx(99 / 20)
    assert pace.delay(now + 60) == 0  # idle time gives no credit
    assert pace.delay(now + 60) == pytest.approx(0.05)
