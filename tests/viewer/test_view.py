"""The view: keys and mouse."""

import cv2
import numpy as np
import pytest

from siamcorr.media import Frame, Input
from siamcorr.viewer import View

BOX = (100.0, 100.0, 60.0, 40.0)
KEY = {key: Input(key) for key in " narhtsdq"}
ESCAPE = Input("escape")


def shown(view, session, frames, count):
    return [view.show(session, frame) for frame in frames[:count]]


def test_frames_pass_until_q(session, frames, window):
    view = View(window([Input(), Input(), KEY["q"]]))
    assert shown(view, session, frames, 3) == [True, True, False]


@pytest.mark.parametrize("last", [ESCAPE, Input(closed=True)], ids=["escape", "closed"])
def test_other_ways_to_end(session, frames, window, last):
    assert View(window([last])).show(session, frames[0]) is False


def test_space_pauses_and_n_shows_the_next_frame(session, frames, window):
    screen = window([KEY[" "], Input(), Input(), KEY["n"], Input(), KEY[" "], Input()])
    view = View(screen)
    assert view.show(session, frames[0])
    assert len(screen.shown) == 4  # held until n
    assert view.paused
    assert view.show(session, frames[1])
    assert len(screen.shown) == 6  # held again until space
    assert not view.paused


def test_a_drawn_box_is_tracked_at_once(session, frames, window):
    view = View(window([Input(drawing=True), Input(drawing=True), Input(drawn=BOX)]))
    assert view.show(session, frames[0])
    assert [result.box_xywh for result in session.results.values()] == [BOX]
    assert len(view.window.shown) == 3  # the frame stayed while it was drawn


def test_a_holds_the_frame_until_a_box_is_drawn(session, frames, window):
    session.add(frames[0], BOX)
    view = View(window([KEY["a"], Input(), Input(drawn=(300, 300, 50, 50))]))
    assert view.show(session, frames[0])
    assert len(session.results) == 2
    assert len(view.window.shown) == 3


def test_r_redraws_the_target_under_the_mouse(session, frames, window):
    numbers = [session.add(frames[0], box) for box in (BOX, (300, 300, 50, 50))]
    view = View(window([Input("r", mouse=(110, 110)), Input(drawn=(10, 10, 20, 20))]))
    assert view.show(session, frames[0])
    assert [session.results[n].box_xywh for n in numbers] == [(10, 10, 20, 20), (300, 300, 50, 50)]


def test_d_drops_the_target_under_the_mouse(session, frames, window):
    first, second = (session.add(frames[0], box) for box in (BOX, (300, 300, 50, 50)))
    View(window([Input("d", mouse=(110, 110))])).show(session, frames[0])
    assert [*session.results] == [second]
    View(window([KEY["d"], KEY["d"], KEY["r"]])).show(session, frames[0])
    assert not session.results
    assert first != second


def test_escape_cancels_marking_only(session, frames, window):
    view = View(window([KEY["a"], ESCAPE, Input()]))
    assert view.show(session, frames[0]) is True
    assert len(view.window.shown) == 2


def test_ask_waits_for_a_target(session, frames, window):
    assert View(window([Input(), Input(drawn=BOX)])).ask(session, frames[0]) is True
    assert len(session.results) == 1


@pytest.mark.parametrize("last", [ESCAPE, KEY["q"], Input(closed=True)])
def test_ask_can_be_cancelled(session, frames, window, last):
    assert View(window([Input(), last])).ask(session, frames[0]) is False
    assert not session.results


def test_a_box_outside_is_an_error_and_can_be_redrawn(session, frames, window):
    view = View(window([KEY["a"], Input(drawn=(900, 900, 50, 50)), Input(drawn=BOX)]))
    assert view.show(session, frames[0])
    assert len(session.results) == 1
    assert len(view.window.shown) == 3


def test_h_shows_the_response_over_the_frame(session, frames, window):
    session.add(frames[0], BOX)
    view = View(window([KEY["h"], Input()]))
    view.show(session, frames[0])
    session.step(frames[1], response=True)
    view.show(session, frames[1])
    x, y = 95, 130  # in the region, left of the box
    assert np.ptp(view.window.shown[0][y, x].astype(int)) == 0
    assert np.ptp(view.window.shown[1][y, x].astype(int)) > 40


def test_t_shows_template_and_search_in_the_corner(session, frames, window):
    view = View(window([KEY["t"], Input()]))
    marked = frames[0].image.copy()
    marked[100:140, 100:160] = 250
    first = Frame(0, 0.0, marked)
    session.add(first, BOX)
    view.show(session, first)
    session.step(frames[1])
    view.show(session, frames[1])
    before, after = (image[8:60, 440:632].mean(axis=2) for image in view.window.shown)
    assert (before == 128).all()
    assert (after > 240).mean() > 0.2


def test_s_writes_a_snapshot(session, frames, window, tmp_path):
    session.add(frames[0], BOX)
    view = View(window([KEY["s"], Input()]), tmp_path)
    assert view.show(session, frames[0])
    picture = cv2.imread(str(tmp_path / "snapshot-000000.png"))
    assert picture.shape == (480, 640, 3)
    assert (picture[100, 110:150] != 128).any()
    assert (picture[470:] == 128).all()  # without the keys
    view = View(window([KEY["s"]]), tmp_path / "nowhere")
    assert view.show(session, frames[0]) is True


def test_small_frames_are_enlarged_and_the_mouse_is_scaled(session, window):
    small = Frame(0, 0.0, np.full((120, 160, 3), 128, np.uint8))
    view = View(window([Input(drawn=(80, 40, 120, 80), mouse=(80, 40))]))
    view.show(session, small)
    assert view.window.shown[0].shape == (480, 640, 3)
    assert session.results[0].box_xywh == (20, 10, 30, 20)


def test_keys_and_lost_targets_are_written_on_the_picture(session, frames, window):
    number = session.add(frames[0], BOX)
    session.tracker.lost.add(number)
    view = View(window([Input(), Input()]))
    view.show(session, frames[0])
    session.step(frames[1])
    view.show(session, frames[1])
    sure, lost = view.window.shown
    assert (sure[460:] != 128).any()  # the keys, at the bottom
    assert (sure[100, 104:156] != 128).any(axis=1).all()  # a whole line
    gaps = (lost[101, 104:156] == 128).all(axis=1)
    assert 0.2 < gaps.mean() < 0.8  # a dashed one


def test_stopped_also_works_in_a_pause(session, frames, window):
    asked = iter([False, False, True])
    view = View(window([KEY[" "]]), stopped=lambda: next(asked))
    assert view.show(session, frames[0]) is False
    assert len(view.window.shown) == 3


def test_ask_is_not_passed_by_a_key(session, frames, window):
    view = View(window([KEY["n"], Input(), Input(drawn=BOX)]))
    assert view.ask(session, frames[0]) is True
    assert len(session.results) == 1


def test_frame_rate_includes_the_time_of_tracking(session, frames, window, monkeypatch):
    """Tracking takes 0.02 s of a frame's 0.05 s, so the window waits 0.03 s."""
    clock = [10.0]
    screen = window([])
    waits = []
    monkeypatch.setattr("siamcorr.viewer.view.time.monotonic", lambda: clock[0])

    def show(image, wait_ms=1):
        waits.append(wait_ms)
        clock[0] += wait_ms / 1000
        return Input()

    monkeypatch.setattr(screen, "show", show)
    view = View(screen, seconds=0.05)
    for frame in frames[:6]:
        clock[0] += 0.02
        view.show(session, frame)
    assert waits[1:] == pytest.approx([30] * 5, abs=1)
