"""Presets: a network, its tracking recipe and its known weights, one TOML file each."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from siamcorr.models.config import from_mapping, read_toml, shorten
from siamcorr.models.recipe import RecipeConfig

MOST_PIXELS = 4096  # a side of a crop
MOST_CHANNELS = 4096
OWN_NAMES = frozenset({"backbone", "neck", "mean", "preset"})  # of the network beside its head


@dataclass(frozen=True)
class NetworkConfig:
    """What the network is built from: names that `siamcorr.models.registry` knows.

    levels: stages of the backbone that are used; none where it has one output.
    neck: channels of each level behind the neck; none where there is no neck.
    template_crop: cells a side that the neck leaves of the template; 0 leaves all.
    """

    backbone: str
    head: str
    head_key: str = "head"
    levels: tuple[int, ...] = ()
    neck: tuple[int, ...] = ()
    template_crop: int = 0

    def __post_init__(self) -> None:
        if not self.head_key.isidentifier() or self.head_key in OWN_NAMES:
            raise ValueError(f"head_key must be a name of its own, got {self.head_key!r}")
        if not all(0 <= number <= MOST_CHANNELS for number in (*self.levels, *self.neck)):
            raise ValueError(f"levels and neck must be numbers in 0..{MOST_CHANNELS}")
        if not 0 <= self.template_crop <= MOST_PIXELS:
            raise ValueError(f"template_crop must be in 0..{MOST_PIXELS}, got {self.template_crop}")


@dataclass(frozen=True)
class CropConfig:
    """How a frame becomes the network's input.

    template_size, search_size: in pixels.
    context: margin around the target, as a share of its width and height together.
    keep_ratio: crops are squares; else the target's shape is stretched to one.
    color: the order of channels that the network was trained on.
    mean: subtracted from the channels, in that order; none for nothing.
    """

    template_size: int = 127
    search_size: int = 255
    context: float = 0.5
    keep_ratio: bool = True
    color: str = "rgb"
    mean: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.template_size <= self.search_size:
            raise ValueError("template_size must be positive and at most search_size")
        if self.search_size > MOST_PIXELS:
            raise ValueError(f"search_size must be <= {MOST_PIXELS}, got {self.search_size}")
        if not 0 <= self.context <= 100:
            raise ValueError(f"context must be >= 0 and at most 100, got {self.context}")
        if self.color not in ("rgb", "bgr"):
            raise ValueError(f'color must be "rgb" or "bgr", got {self.color!r}')
        if len(self.mean) not in (0, 3):
            raise ValueError(f"mean must be three numbers or none, got {list(self.mean)}")


@dataclass(frozen=True)
class WeightsConfig:
    """A published checkpoint.

    file: what it is called.
    url: from where it can be fetched; empty where only a person can, from `page`.
    page: where it is described.
    sha256: how to know it; empty where nobody has told.
    licence: of the weights.
    unused: beginnings of keys that the network never calls.
    prefix: what its keys lack at the beginning.
    """

    file: str
    page: str
    licence: str
    url: str = ""
    sha256: str = ""
    unused: tuple[str, ...] = ()
    prefix: str = ""


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


def preset_path(name: str) -> Path:
    """The TOML file of a shipped preset, or of any by its path.

    Raises:
        ValueError: there is none; the nearest is named.
    """
    path = Path(name) if name.endswith(".toml") else configs_dir() / f"{name}.toml"
    if path.is_file():
        return path
    names = preset_names()
    near = get_close_matches(name[:80], names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
    raise ValueError(f"no preset is called {shorten(name)}: {hint}")


def load_preset(name: str) -> Preset:
    """Read a shipped preset by name, or any preset by the path of its TOML file.

    Raises:
        ValueError: no such preset (the nearest is named), or a file that is no preset.
    """
    path = preset_path(name)
    return from_mapping(Preset, read_toml(path), path.name)
