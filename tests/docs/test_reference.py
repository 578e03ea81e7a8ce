"""The API reference names what is public: nothing less, and nothing that is not there."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import siamcorr

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in DOCS.glob("api/*.md")}
ENTRIES = re.compile(r"^::: (\S+)$", re.MULTILINE)
LISTED = {name for page in PAGES.values() for name in ENTRIES.findall(page)}
# Packages with public names; siamcorr.adaptors has them in its modules.
PACKAGES = [
    name
    for name in sorted(module.name for module in iter_modules(siamcorr.__path__) if module.ispkg)
    if getattr(import_module(f"siamcorr.{name}"), "__all__", [])
]


def test_packages_are_found():
    assert {"ops", "layers", "models", "tracking", "media"} <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_entry(package):
    public = import_module(f"siamcorr.{package}").__all__
    entries = ENTRIES.findall(PAGES[package])
    assert sorted(entries) == sorted(f"siamcorr.{package}.{name}" for name in public)


def test_every_name_of_the_top_level_is_listed_once():
    rows = re.findall(r"^\| \[`(\w+)`\]\[(siamcorr\.\S+)\] \|", PAGES["index"], re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(siamcorr.__all__)
    for name, target in rows:
        assert target in LISTED
        assert found(target) is getattr(siamcorr, name)


def found(path: str) -> object:
    """What a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("path", sorted(LISTED))
def test_every_entry_exists_and_has_a_docstring(path):
    value = found(path)
    if inspect.isclass(value) or inspect.isroutine(value):
        assert (value.__doc__ or "").strip(), f"{path} has no docstring"


def test_every_page_is_in_the_navigation():
    config = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    nav = set(re.findall(r"\S+\.md$", config, re.MULTILINE))
    assert nav == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
