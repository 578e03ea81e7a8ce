"""A session without its socket: boxes and errors."""

import base64
import json
import threading

import numpy as np
import pytest
import torch

from siamcorr.models import build_model, load_preset
from siamcorr.web import Limits, Networks, Session, offered_devices, offered_models

MODEL, OTHER = "siamcorr-lite", "nanotrack-v2"


@pytest.fixture
def session(networks):
    return Session(networks, Limits(targets=2, frame_pixels=200 * 140), MODEL, "cpu")


def tell(session, **command):
    return session.answer(json.dumps(command))


def boxes(answers):
    return [[target["box"] for target in answer["targets"]] for answer in answers]


# tracking


def test_boxes_scores_and_maps_are_the_trackers(session, clip, expected):
    assert tell(session, type="maps", on=True) == {"type": "maps", "on": True}
    first, second = clip[0][1], (20, 10, 30, 24)
    answers = []
    for index, (data, _) in enumerate(clip):
        answers.append(session.answer(data))
        if index in (0, 3):
            added = tell(session, type="add", box=first if index == 0 else second)
            assert added["number"] == index // 3
    assert [answer["frame"] for answer in answers] == list(range(8))
    for answer, results in zip(answers, expected(clip, {0: first, 3: second}), strict=True):
        assert [target["number"] for target in answer["targets"]] == list(results)
        for target, result in zip(answer["targets"], results.values(), strict=True):
            assert target["box"] == pytest.approx(result.box_xywh, abs=1e-3)
            assert target["score"] == pytest.approx(result.score, abs=1e-5)
            assert target["lost"] == result.lost
            assert target["map"]["region"] == pytest.approx(result.region, abs=1e-3)
            cells = np.frombuffer(base64.b64decode(target["map"]["data"]), np.uint8)
            shape = (target["map"]["cells"],) * 2
            np.testing.assert_allclose(cells.reshape(shape) / 255, result.response, atol=0.003)
    json.dumps(answers)  # answers are JSON


def test_maps_only_where_asked_for(session, clip):
    session.answer(clip[0][0])
    tell(session, type="add", box=clip[0][1])
    assert "map" not in session.answer(clip[1][0])["targets"][0]
    tell(session, type="maps", on=True)
    assert "map" in session.answer(clip[2][0])["targets"][0]
    tell(session, type="maps", on=False)
    assert "map" not in session.answer(clip[3][0])["targets"][0]


def test_a_removed_target_leaves_the_other_as_it_was(session, clip, expected):
    session.answer(clip[0][0])
    tell(session, type="add", box=(20, 10, 30, 24))
    tell(session, type="add", box=clip[0][1])
    assert tell(session, type="remove", number=0) == {"type": "removed", "number": 0}
    answers = [session.answer(data) for data, _ in clip[1:]]
    assert {target["number"] for answer in answers for target in answer["targets"]} == {1}
    alone = [[result.box_xywh for result in r.values()] for r in expected(clip, {0: clip[0][1]})]
    np.testing.assert_allclose(boxes(answers), alone[1:], atol=1e-3)
    assert tell(session, type="add", box=(20, 10, 30, 24))["number"] == 2  # numbers are not reused


def test_clear_removes_targets_and_frame(session, clip, other_clip):
    session.answer(clip[0][0])
    tell(session, type="add", box=clip[0][1])
    with pytest.raises(ValueError, match=r"frame is \(140, 200, 3\), but the first one was"):
        session.answer(other_clip[0][0])
    assert tell(session, type="clear") == {"type": "cleared"}
    with pytest.raises(ValueError, match="add: send a frame first"):
        tell(session, type="add", box=other_clip[0][1])
    answer = session.answer(other_clip[0][0])
    assert (answer["frame"], answer["targets"]) == (0, [])
    assert tell(session, type="add", box=other_clip[0][1])["number"] == 0
    assert len(session.answer(other_clip[1][0])["targets"]) == 1


def test_without_targets_frames_may_change_their_size(session, clip, other_clip):
    session.answer(clip[0][0])
    with pytest.raises(ValueError, match="lies outside the 160x120 frame"):
        tell(session, type="add", box=(500, 10, 20, 20))
    session.answer(other_clip[0][0])
    assert tell(session, type="add", box=other_clip[0][1])["number"] == 0


# networks


def test_another_network_keeps_the_targets(session, clip, expected):
    for data, _ in clip[:3]:
        last = session.answer(data)
        if not session._boxes:
            tell(session, type="add", box=(20, 10, 30, 24))
            tell(session, type="remove", number=0)
            tell(session, type="add", box=clip[0][1])
    (box,) = (target["box"] for target in last["targets"])
    answer = tell(session, type="model", model=OTHER, device="cpu")
    lost_below = load_preset(OTHER).recipe.lost_below
    assert answer == {"type": "model", "model": OTHER, "device": "cpu", "lost_below": lost_below}
    after = [session.answer(data) for data, _ in clip[3:]]
    assert {target["number"] for answer in after for target in answer["targets"]} == {1}
    results = expected(clip[2:], {0: box}, OTHER)[1:]
    np.testing.assert_allclose(boxes(after), [[r[0].box_xywh] for r in results], atol=1e-3)


def test_hello_lists_models_and_devices(session):
    assert session.hello() == {
        "type": "hello",
        "models": [MODEL, OTHER],
        "devices": ["cpu"],
        "frame_pixels": 200 * 140,
        "frame_side": 4096,
        "model": MODEL,
        "device": "cpu",
        "lost_below": load_preset(MODEL).recipe.lost_below,
    }


def test_a_network_is_built_once_for_all(loaded):
    built, gate = [], threading.Event()

    def load(model, device):
        built.append((model, device))
        gate.wait(10)
        return loaded[model]

    networks, got = Networks([MODEL, OTHER], ["cpu"], load), []
    threads = [
        threading.Thread(target=lambda: got.append(networks.get(MODEL, "cpu"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert got == [loaded[MODEL]] * 3
    assert networks.get(OTHER, "cpu") is loaded[OTHER]
    assert built == [(MODEL, "cpu"), (OTHER, "cpu")]


def test_a_network_that_fails_leaves_the_one_in_use(loaded, clip):
    def load(model, device):
        if model == OTHER:
            raise OSError("no weights for it")
        return loaded[model]

    session = Session(Networks([MODEL, OTHER], ["cpu"], load), Limits(), MODEL, "cpu")
    session.answer(clip[0][0])
    tell(session, type="add", box=clip[0][1])
    with pytest.raises(OSError, match="no weights for it"):
        tell(session, type="model", model=OTHER, device="cpu")
    assert session.model == MODEL
    assert len(session.answer(clip[1][0])["targets"]) == 1


def test_offered_are_models_with_weights(tmp_path, monkeypatch):
    for name in ("SIAMCORR_WEIGHTS", "SIAMCORR_SHARED", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert offered_models() == [MODEL]
    torch.save(build_model(OTHER).state_dict(), tmp_path / load_preset(OTHER).weights.file)
    assert offered_models() == sorted([MODEL, OTHER])


@pytest.mark.parametrize("count", [0, 2])
def test_offered_are_devices_that_are_there(count, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert offered_devices() == ["cpu", "cuda:0", "cuda:1"][: count + 1]


# errors


WRONG = {
    "unknown": ({"type": "fly"}, "type: must be one of add, remove, clear, model, maps, got 'fly'"),
    "no box": ({"type": "add"}, "box: must be four numbers x, y, w, h, got None"),
    "no size": ({"type": "add", "box": [9, 9, 0, 9]}, "box must have a size, got w 0 and h 9"),
    "outside": ({"type": "add", "box": [900, 9, 9, 9]}, "lies outside the 160x120 frame"),
    "huge": ({"type": "add", "box": [0, 0, 9e9, 9]}, "more than 10 times the 160x120 frame"),
    "no number": ({"type": "remove"}, "remove: must be the number of a target, got None"),
    "other number": (
        {"type": "remove", "number": 7},
        "remove: must be the number of a target, got 7",
    ),
    "a truth": ({"type": "remove", "number": False}, "the number of a target, got False"),
    "a list": ({"type": "remove", "number": [0]}, r"the number of a target, got \[0\]"),
    "no model": ({"type": "model"}, f"model: must be one of {MODEL}, {OTHER}, got None"),
    "a path": (
        {"type": "model", "model": "/etc/passwd", "device": "cpu"},
        f"model: must be one of {MODEL}, {OTHER}, got /etc/passwd",
    ),
    "device": (
        {"type": "model", "model": MODEL, "device": "cuda:0"},
        "device: must be one of cpu, got",
    ),
    "maps": ({"type": "maps", "on": 1}, "maps: on must be true or false, got 1"),
}


@pytest.mark.parametrize(("command", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_command_changes_nothing(command, text, session, clip, expected):
    session.answer(clip[0][0])
    tell(session, type="add", box=clip[0][1])
    with pytest.raises(ValueError, match=text):
        tell(session, **command)
    answer = session.answer(clip[1][0])
    (result,) = expected(clip[:2], {0: clip[0][1]})[1].values()
    np.testing.assert_allclose(boxes([answer]), [[result.box_xywh]], atol=1e-3)
    assert answer["frame"] == 1


def test_too_many_targets(session, clip):
    session.answer(clip[0][0])
    for _ in range(2):
        tell(session, type="add", box=clip[0][1])
    with pytest.raises(ValueError, match="add: at most 2 targets at once"):
        tell(session, type="add", box=clip[0][1])
    tell(session, type="remove", number=0)
    assert tell(session, type="add", box=clip[0][1])["number"] == 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (140, 1), (3, 5)])
def test_the_smallest_frames(shape, session, jpeg):
    data = jpeg(np.full((*shape, 3), 90, np.uint8))
    session.answer(data)
    tell(session, type="add", box=(0, 0, 0.5, 0.5))
    assert all(np.isfinite(session.answer(data)["targets"][0]["box"]))


def test_a_frame_that_is_too_large(session, jpeg):
    with pytest.raises(ValueError, match="frame: at most 28000 pixels and 4096 a side, got 201x"):
        session.answer(jpeg(np.zeros((140, 201, 3), np.uint8)))
