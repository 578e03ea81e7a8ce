"""`--help` of each command, its examples, and completion for shells."""

import shlex

import pytest

from siamcorr.cli import build_parser, main
from siamcorr.cli.examples import EXAMPLES

COMMANDS = build_parser()._subparsers._group_actions[0].choices


def test_every_command_has_two_examples():
    assert {*EXAMPLES} == {*COMMANDS}
    assert all(len(lines) == 2 for lines in EXAMPLES.values())


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_can_be_typed(command):
    for line in EXAMPLES[command]:
        program, *words = shlex.split(line.partition("|")[0])
        assert program == "siamcorr"
        assert words[0] == command
        build_parser().parse_args(words)


@pytest.mark.parametrize("command", EXAMPLES)
def test_help_shows_them(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {line}\n" in shown for line in EXAMPLES[command])


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell, capsys):
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as stop:
        main(["--print-completion", shell])
    assert stop.value.code == 0
    script = capsys.readouterr().out
    for word in ("track", "--max-frames", "opset", "siamcorr-lite"):
        assert word in script
