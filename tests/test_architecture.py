"""The rooms of the package: each imports only what stands above it, and no foreign surprise."""

import ast
import sys
from pathlib import Path

import pytest

import siamcorr

PACKAGE = Path(siamcorr.__file__).parent

# From top to bottom: a room and what it may import from outside.
ROOMS = {
    "ops": {"torch", "triton"},
    "layers": {"torch"},
    "models": {"torch", "safetensors", "numpy"},
    "tracking": {"torch", "cv2", "numpy"},
    "media": {"av", "cv2", "numpy", "imageio_ffmpeg"},
    "data": {"cv2", "numpy"},
    "evaluation": {"torch", "cv2", "numpy", "matplotlib", "shapely", "optuna"},
    "training": {"torch", "numpy", "tqdm", "matplotlib"},
    "adaptors": None,
    "bench": {"torch", "matplotlib", "torchinfo"},
    "viewer": {"cv2", "numpy"},
    "web": {"aiohttp", "cv2", "numpy", "torch"},
    "cli": {"torch", "cv2", "numpy", "tqdm", "matplotlib", "optuna", "shtab"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """All modules that a file imports, also inside functions, as dotted names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def violations(path: Path, names: set[str]) -> list[str]:
    """What a module imports and may not."""
    room = path.relative_to(PACKAGE).parts[0]
    if room not in ROOMS:  # __init__.py and __main__.py of the package itself
        return []
    order = list(ROOMS)
    allowed = set(order[: order.index(room) + 1])
    wrong = []
    for name in names:
        top, *rest = name.split(".")
        if top == "siamcorr":
            if rest and rest[0] in ROOMS and rest[0] not in allowed:
                wrong.append(name)
        elif ROOMS[room] is not None and top not in ROOMS[room] | set(sys.stdlib_module_names):
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_what_stands_above(path):
    assert violations(path, imports(path)) == []


def test_rooms_are_the_folders():
    folders = {path.relative_to(PACKAGE).parts[0] for path in MODULES if path.parent != PACKAGE}
    assert folders <= set(ROOMS)


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("ops", "siamcorr.layers"),
        ("ops", "cv2"),
        ("media", "siamcorr.cli.track"),
        ("data", "torch"),
    ],
)
def test_a_forbidden_import_is_seen(room, name):
    assert violations(PACKAGE / room / "some.py", {name}) == [name]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_public_names():
    """What a person imports from the top; a change here is a change for every user."""
    assert siamcorr.__all__ == [
        "MultiTracker",
        "TrackResult",
        "Tracker",
        "build_model",
        "explain",
        "follow_marks",
        "prepare",
        "xcorr_batched",
        "xcorr_depthwise",
        "xcorr_naive",
        "xcorr_normalized",
        "xcorr_pixelwise",
    ]
