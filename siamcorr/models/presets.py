"""Presets: a network, its tracking recipe and its published weights, one TOML file each."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from siamcorr.models.config import from_mapping, read_toml, shorten
from siamcorr.models.recipe import RecipeConfig

MAX_PIXELS = 4096  # per side of a crop
MAX_CHANNELS = 4096
RESERVED_NAMES = frozenset({"backbone", "neck", "mean", "preset"})  # attributes of the network


@dataclass(frozen=True)
class NetworkConfig:
    """The parts of a network: names in `siamcorr.models.registry`.

    head_key: prefix of the head's keys in the checkpoint.
    levels: stages of the backbone to use; empty if it has one output.
    neck: output channels of the neck for each level; empty without a neck.
    template_crop: cells per side that the neck keeps of the template; 0 keeps all.
    """

    backbone: str
    head: str
    head_key: str = "head"
    levels: tuple[int, ...] = ()
    neck: tuple[int, ...] = ()
    template_crop: int = 0

    def __post_init__(self) -> None:
        if not self.head_key.isidentifier() or self.head_key in RESERVED_NAMES:
            raise ValueError(f"head_key must be an identifier of its own, got {self.head_key!r}")
        if not all(0 <= number <= MAX_CHANNELS for number in (*self.levels, *self.neck)):
            raise ValueError(f"levels and neck must be numbers in 0..{MAX_CHANNELS}")
        if not 0 <= self.template_crop <= MAX_PIXELS:
            raise ValueError(f"template_crop must be in 0..{MAX_PIXELS}, got {self.template_crop}")


@dataclass(frozen=True)
class CropConfig:
    """How a frame becomes the network's input.

    template_size, search_size: side of the crops, in pixels.
    context: margin around the target, as a share of its width plus height.
    keep_ratio: crops are squares of the frame; False stretches the target to a square.
    color: channel order that the network was trained with.
    mean: subtracted from the channels, in that order; empty subtracts nothing.
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
        if self.search_size > MAX_PIXELS:
            raise ValueError(f"search_size must be <= {MAX_PIXELS}, got {self.search_size}")
        if not 0 <= self.context <= 100:
            raise ValueError(f"context must be >= 0 and at most 100, got {self.context}")
        if self.color not in ("rgb", "bgr"):
            raise ValueError(f'color must be "rgb" or "bgr", got {self.color!r}')
        if len(self.mean) not in (0, 3):
            raise ValueError(f"mean must be three numbers or none, got {list(self.mean)}")


@dataclass(frozen=True)
class WeightsConfig:
    """A published checkpoint.

    file: its file name.
    url: direct download; empty if it can only be downloaded by hand, from `page`.
    page: the web page that describes it.
    sha256: of the file; empty if unknown.
    licence: of the weights.
    unused: prefixes of keys that the network does not use.
    prefix: prefix that the network's keys have and the checkpoint's keys lack.
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
    """A preset; `about` is a description in one line."""

    name: str
    about: str
    network: NetworkConfig
    crop: CropConfig
    recipe: RecipeConfig
    weights: WeightsConfig


def configs_dir() -> Path:
    """The folder of the shipped presets: in a wheel inside the package, in a checkout beside it."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def preset_names() -> list[str]:
    """Names of the shipped presets, sorted."""
    return sorted(path.stem for path in configs_dir().glob("*.toml"))


def preset_path(name: str) -> Path:
    """The TOML file of a shipped preset by name, or of any preset by path.

    Raises:
        ValueError: no such preset; the text names the nearest one.
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
        ValueError: no such preset (the text names the nearest one), or a file that is not a preset.
    """
    path = preset_path(name)
    return from_mapping(Preset, read_toml(path), path.name)
