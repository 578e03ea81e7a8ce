"""Checks of options: counts, threads, and writable files."""

import argparse
import os

import pytest
import torch

from siamcorr.cli import main
from siamcorr.cli.validation import check_counts, check_writable, use_threads


def test_counts():
    args = argparse.Namespace(every=1, max_epochs=None, frames=0)
    check_counts(args, "every", "max_epochs")
    with pytest.raises(ValueError, match=r"^--frames must be >= 1, got 0$"):
        check_counts(args, "every", "frames")


def test_threads(monkeypatch):
    given = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    for count in (None, 3):
        use_threads(argparse.Namespace(threads=count))
    assert given == [3]


@pytest.mark.parametrize(
    "command",
    [["eval", "opencv:mil", "--data", "."], ["tune", "nanotrack-v2", "--data", "."]],
)
@pytest.mark.parametrize("option", ["--threads", "--processes"])
def test_more_than_the_cores_allow(command, option, monkeypatch, capsys):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert main([*command, option, "9"]) == 2
    text = f"{option} must be at most 8 on this machine with 2 cores, got 9"
    assert capsys.readouterr().err == f"siamcorr: {text}\n"


@pytest.mark.parametrize(
    "command",
    [["train", "run.toml"], ["eval", "opencv:mil", "--data", "."], ["bench"], ["profile", "{}"]],
)
@pytest.mark.parametrize("count", ["0", "-1"])
def test_all_commands_check_their_threads(command, count, capsys):
    command = [part.format("siamcorr-lite") for part in command]
    assert main([*command, "--threads", count]) == 2
    assert capsys.readouterr().err == f"siamcorr: --threads must be >= 1, got {count}\n"


def test_writable_files_stay_as_they_are(tmp_path):
    path = tmp_path / "there.csv"
    path.write_text("mine")
    check_writable(path)
    check_writable(str(tmp_path / "new.csv"))
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "mine"


def test_a_link_stays(tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "there.csv")
    check_writable(link)
    assert link.is_symlink()
    assert [*tmp_path.iterdir()] == [link]  # and what it names is not there, as before


@pytest.mark.parametrize("name", ["folder", "gone/new.csv", "locked/new.csv"])
def test_what_cannot_be_written(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "locked").mkdir(mode=0o500)
    if name.startswith("locked") and os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(OSError, match=name):
        check_writable(tmp_path / name)


def test_a_second_end_of_options(capsys):
    """argparse hands over a list with nothing in it."""
    with pytest.raises(SystemExit) as stop:
        main(["convert", "--", "--", "--"])
    assert stop.value.code == 2
    assert "-- ends the options and may occur once" in capsys.readouterr().err
