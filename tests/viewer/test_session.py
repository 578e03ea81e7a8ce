"""A session: add, renew and drop targets, with their results, trails and portraits."""

import pytest

from siamcorr.viewer.session import TRAIL


def test_a_marked_target_is_a_result_of_its_frame(session, frames):
    assert session.step(frames[0]) == {}
    number = session.add(frames[0], (10, 20, 30, 40))
    assert session.results[number].box_xywh == (10, 20, 30, 40)
    assert session.results[number].score == 1
    assert session.portraits[number].shape == (41, 31, 3)
    assert [*session.trails[number]] == [(25, 40)]


def test_add_and_drop_leave_other_targets(session, frames):
    first = session.add(frames[0], (10, 20, 30, 40))
    session.step(frames[1])
    second = session.add(frames[1], (100, 100, 20, 20))
    assert session.results[first].box_xywh[:2] == (12, 21)
    session.step(frames[2])
    assert [session.results[n].box_xywh[:2] for n in (first, second)] == [(14, 22), (102, 101)]
    session.drop(first)
    for kept in (session.results, session.trails, session.portraits, session.tracker.boxes):
        assert [*kept] == [second]
    with pytest.raises(KeyError):
        session.drop(first)


def test_renewed_target_keeps_its_number(session, frames):
    number = session.add(frames[0], (10, 20, 30, 40))
    session.step(frames[1])
    session.renew(number, frames[1], (200, 200, 50, 60))
    assert [*session.results] == [number]
    assert [*session.trails[number]] == [(225, 230)]
    assert session.portraits[number].shape == (61, 51, 3)
    session.step(frames[2])
    assert session.results[number].box_xywh == (202, 201, 50, 60)


def test_a_box_without_size_changes_nothing(session, frames):
    number = session.add(frames[0], (10, 20, 30, 40))
    with pytest.raises(ValueError, match="size"):
        session.add(frames[0], (10, 20, 0, 40))
    assert [*session.results] == [number]


def test_trail_is_limited_and_stops_while_lost(session, frames):
    number = session.add(frames[0], (10, 20, 30, 40))
    for _ in range(TRAIL + 5):
        session.step(frames[1])
    assert len(session.trails[number]) == TRAIL
    assert session.trails[number][-1] == (25 + 2 * (TRAIL + 5), 40 + TRAIL + 5)
    before = [*session.trails[number]]
    session.tracker.lost.add(number)
    session.step(frames[1])
    assert [*session.trails[number]] == before


@pytest.mark.parametrize(
    ("point", "index"),
    [((15, 25), 0), ((60, 60), 1), ((55, 55), 1), ((300, 300), 1)],
    ids=["in the large one", "in the small one", "in both", "in none: the last"],
)
def test_target_at_a_point(session, frames, point, index):
    numbers = [session.add(frames[0], box) for box in ((10, 20, 60, 60), (50, 50, 20, 20))]
    assert session.at(*point) == numbers[index]


def test_no_target_at_a_point(session):
    assert session.at(1, 1) is None
