"""`siamcorr profile`: five stages and their sum, and the selected network."""

import re

import pytest
import torch

from siamcorr.bench import STAGES
from siamcorr.cli import main, profile


@pytest.fixture(autouse=True)
def _same_threads():
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


def run(*arguments):
    return main(["profile", "nanotrack-v2", *arguments])


def test_stages_and_their_sum(capsys):
    """Of the two frames that count the median is the mean, so that the parts make up the whole."""
    torch.set_num_threads(2)
    assert run("--frames", "8", "--threads", "1") == 0
    out, err = capsys.readouterr()
    assert err == ""
    title, *rows, last = out.splitlines()
    assert title == "nanotrack-v2 on cpu, 1 threads, batch 1"
    found = [re.fullmatch(r"  (\w.*\w) +([\d.]+) ms +(\d+) %", row).groups() for row in rows]
    assert tuple(stage for stage, _, _ in found) == STAGES
    total, rate = re.fullmatch(r"  a frame +([\d.]+) ms, (\d+) FPS", last).groups()
    milliseconds = [float(ms) for _, ms, _ in found]
    assert sum(milliseconds) == pytest.approx(float(total), abs=0.03)
    assert int(rate) == pytest.approx(1000 / float(total), abs=1)
    for ms, (_, _, share) in zip(milliseconds, found, strict=True):
        assert int(share) == pytest.approx(100 * ms / float(total), abs=1)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [([], [False]), (["--compile"], [True]), (["--no-fuse"], [])],
)
def test_which_network(flags, expected, monkeypatch):
    calls, seen = [], []

    def for_inference(network, *, compiled):
        calls.append(compiled)
        return network.requires_grad_(False)

    def profile_tracker(network, frames, box):
        seen.extend((len(frames), any(p.requires_grad for p in network.parameters())))
        return [dict.fromkeys(STAGES, 0.1)]

    monkeypatch.setattr(profile, "for_inference", for_inference)
    monkeypatch.setattr(profile, "profile_tracker", profile_tracker)
    assert run("--frames", "9", *flags) == 0
    assert calls == expected
    assert seen == [9, not expected]


def test_weights(random_weights, monkeypatch):
    networks, real = [], profile.build_model
    monkeypatch.setattr(profile, "build_model", lambda *a: networks.append(real(*a)) or networks[0])
    assert run("--weights", str(random_weights), "--frames", "7") == 0
    state = torch.load(random_weights, weights_only=True)["state_dict"]
    assert all(torch.equal(v, state[key]) for key, v in networks[0].state_dict().items())


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("--threads 0", "--threads must be >= 1, got 0"),
        ("--compile --no-fuse", "--compile needs the fused network: omit --no-fuse"),
        ("--frames 6", "profile: 7 frames at least, got 6"),
        ("--frames 0", "frames and zoom must be >= 1"),
        ("--device gpu", "device must be auto, cpu, cuda or cuda:N, got gpu"),
        ("--weights gone.pth", "gone.pth: No such file or directory"),
    ],
)
def test_errors_are_one_line_and_code_2(command, text, capsys):
    assert run(*command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"siamcorr: {text}")


def test_targets(monkeypatch, capsys):
    """Beside one target's median, whether it was asked for or not."""
    asked = []

    def time_targets(network, frames, counts):
        asked.append((frames[0].shape, len(frames), counts))
        return {count: [0.001 * count, 0.01 * count, 1.0] for count in counts}

    monkeypatch.setattr(profile, "time_targets", time_targets)
    assert run("--targets", "8", "2", "--frames", "12") == 0
    assert asked == [((480, 640, 3), 12, [1, 2, 8])]
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.endswith("threads, a frame of 640x480")
    assert rows == [
        "     1 targets    10.00 ms,  1.00 times one target's",
        "     2 targets    20.00 ms,  2.00 times one target's",
        "     8 targets    80.00 ms,  8.00 times one target's",
    ]
    assert main(["profile", "nanotrack-v2", "--targets", "0"]) == 2
    assert capsys.readouterr().err == "siamcorr: --targets must be >= 1, got 0\n"


def test_lost(monkeypatch, capsys):
    def time_lost(network, frames, counts):
        assert (frames[0].shape, len(frames)) == ((480, 640, 3), 15)
        return {count: ([0.001 * count, 0.9, 0.001], [0.002 * count] * 3) for count in counts}

    monkeypatch.setattr(profile, "time_lost", time_lost)
    assert run("--targets", "32", "8", "--lost", "--frames", "15") == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.endswith("threads, a frame of 640x480")
    assert rows == [
        "     8 targets     8.00 ms in sight,    16.00 ms lost,  2.00 times",
        "    32 targets    32.00 ms in sight,    64.00 ms lost,  2.00 times",
    ]
    assert run("--lost") == 2
    assert capsys.readouterr().err == "siamcorr: --lost needs --targets N: how many are lost\n"
