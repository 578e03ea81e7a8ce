"""Presets: a network, its tracking recipe and its known weights, one TOML file each."""

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from siamcorr.models.config import from_mapping


@dataclass(frozen=True)
class NetworkConfig:
    """What the network is built from: names that `siamcorr.models.build` knows."""

    backbone: str
    head: str
    head_key: str = "head"


@dataclass(frozen=True)
class CropConfig:
    """How a frame becomes the network's input. Sizes in pixels."""

    template_size: int = 127
    search_size: int = 255
    context: float = 0.5
    color: str = "rgb"

    def __post_init__(self) -> None:
        if not 0 < self.template_size <= self.search_size:
            raise ValueError("template_size must be positive and at most search_size")
        if self.context < 0:
            raise ValueError(f"context must be >= 0, got {self.context}")
        if self.color not in ("rgb", "bgr"):
            raise ValueError(f'color must be "rgb" or "bgr", got {self.color!r}')


@dataclass(frozen=True)
class RecipeConfig:
    """How predictions become the next box.

    stride: pixels of the search crop from one response cell to the next.
    penalty: strength of the penalty for a change of size or shape, >= 0.
    window: weight of the cosine window that prefers the centre, 0..1.
    learning_rate: share of the new size in the smoothed one at a perfect score, 0..1.
    """

    stride: int
    penalty: float
    window: float
    learning_rate: float

    def __post_init__(self) -> None:
        if self.stride < 1 or self.penalty < 0:
            raise ValueError("stride must be >= 1 and penalty >= 0")
        if not (0 <= self.window <= 1 and 0 <= self.learning_rate <= 1):
            raise ValueError("window and learning_rate must lie in 0..1")


@dataclass(frozen=True)
class WeightsConfig:
    """A published checkpoint: where it is, how to know it, what in it the network never calls."""

    file: str
    url: str
    sha256: str
    licence: str
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preset:
    """All of a preset; `about` is one line for people."""

    name: str
    about: str
    network: NetworkConfig
    crop: CropConfig
    recipe: RecipeConfig
    weights: WeightsConfig


def configs_dir() -> Path:
    """The folder of the shipped presets: in the wheel beside the code, in a checkout above it."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def preset_names() -> list[str]:
    """Names of the shipped presets, sorted."""
    return sorted(path.stem for path in configs_dir().glob("*.toml"))


def load_preset(name: str) -> Preset:
    """Read a shipped preset by name, or any preset by the path of its TOML file.

    Raises:
        ValueError: no such preset (the nearest is named), or a file that is no preset.
    """
    path = Path(name) if name.endswith(".toml") else configs_dir() / f"{name}.toml"
    if not path.is_file():
        names = preset_names()
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
        raise ValueError(f"no preset is called {name}: {hint}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    return from_mapping(Preset, table, path.name)
