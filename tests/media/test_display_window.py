"""Window: mouse drags are boxes, and keys have names; OpenCV's windows are faked."""

import cv2
import numpy as np
import pytest

from siamcorr.media import Window, write_image
from siamcorr.media.display_window import BAND

PICTURE = np.full((50, 60, 3), 100, np.uint8)


@pytest.fixture
def screen(monkeypatch):
    """OpenCV's window functions, without a screen."""
    state = {"key": -1, "visible": 1.0, "shown": []}
    monkeypatch.setattr(cv2, "namedWindow", lambda *args: None)
    monkeypatch.setattr(cv2, "setMouseCallback", lambda title, f: state.update(mouse=f))
    monkeypatch.setattr(cv2, "imshow", lambda title, image: state["shown"].append(image))
    monkeypatch.setattr(cv2, "waitKeyEx", lambda wait: state["key"])
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *args: state["visible"])
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: state.update(visible=0.0))
    return state


def drag(screen, *points):
    events = [cv2.EVENT_LBUTTONDOWN, *[cv2.EVENT_MOUSEMOVE] * (len(points) - 2)]
    for event, (x, y) in zip([*events, cv2.EVENT_LBUTTONUP], points, strict=True):
        screen["mouse"](event, x, y, 0, None)


def test_a_drag_in_any_direction_gives_one_box(screen):
    window = Window()
    drag(screen, (40, 30), (20, 20), (10, 5))
    done = window.show(PICTURE)
    assert done.drawn == (10, 5, 30, 25)
    assert done.mouse == (10, 5)
    assert window.show(PICTURE).drawn is None


def test_box_is_visible_while_drawn(screen):
    window = Window()
    screen["mouse"](cv2.EVENT_LBUTTONDOWN, 10, 10, 0, None)
    screen["mouse"](cv2.EVENT_MOUSEMOVE, 40, 30, 0, None)
    done = window.show(PICTURE)
    assert done.drawing
    assert done.drawn is None
    assert screen["shown"][-1][10, 25].tolist() == [*BAND[::-1]]
    assert (PICTURE == 100).all()


def test_a_click_is_no_box(screen):
    window = Window()
    drag(screen, (10, 10), (12, 11))
    assert window.show(PICTURE).drawn is None
    screen["mouse"](cv2.EVENT_LBUTTONUP, 40, 40, 0, None)  # pressed outside of the window
    assert window.show(PICTURE).drawn is None


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (-1, ""),
        (ord("q"), "q"),
        (ord("Q"), "q"),
        (27, "escape"),
        (13, "enter"),
        (32, " "),
        (1048576 | ord("h"), "h"),
        (255, ""),
        (0xFF51, ""),
    ],
)
def test_keys(screen, code, name):
    screen["key"] = code
    assert Window().show(PICTURE).key == name


def test_a_window_that_was_closed(screen):
    window = Window()
    assert not window.show(PICTURE).closed
    window.close()
    assert window.show(PICTURE).closed


def test_pictures_are_written_as_rgb(tmp_path):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 200
    write_image(tmp_path / "a.png", image)
    assert cv2.imread(str(tmp_path / "a.png"))[0, 0].tolist() == [0, 0, 200]
    with pytest.raises(ValueError, match=r"a\.what: unknown image suffix"):
        write_image(tmp_path / "a.what", image)
    with pytest.raises(FileNotFoundError):
        write_image(tmp_path / "no" / "a.png", image)
