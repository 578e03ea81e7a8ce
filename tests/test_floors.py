"""The lowest versions: those that are tested are those that are promised."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = {"mkdocs-material", "mkdocstrings-python"}
TOOLS = {"ruff", "mypy", "pre-commit", "types-tqdm", "siamcorr"} | SITE  # no test runs with these


def pinned(name):
    """What a constraints file says, by package."""
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def promised():
    """The floors of pyproject.toml, by package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for lines in extras for line in lines)]
    found = (re.match(r"([\w-]+)[^>]*(?:>=([\d.]+))?", line).groups() for line in lines)
    return {name: floor for name, floor in found if name not in TOOLS}


def test_floors_are_tested():
    oldest, floors = pinned("constraints-oldest.txt"), promised()
    assert oldest.keys() == floors.keys()
    for name, floor in floors.items():
        assert f"{oldest[name]}.".startswith(f"{floor}."), name


def test_newest_are_not_older():
    newest = pinned("constraints.txt")
    for name, floor in promised().items():
        numbers = [
            [int(part) for part in re.findall(r"\d+", text)] for text in (newest[name], floor)
        ]
        assert numbers[0] >= numbers[1], name
