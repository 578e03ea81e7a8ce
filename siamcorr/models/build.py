"""From a preset's name to a network with weights."""

import os
from pathlib import Path

import torch

from siamcorr.models.checkpoints import (
    Checkpoint,
    mismatches,
    read_checkpoint,
    sha256,
    write_safetensors,
)
from siamcorr.models.presets import Preset, configs_dir, load_preset, preset_names
from siamcorr.models.registry import assemble
from siamcorr.models.siamese import SiameseNetwork


def build_model(
    name: str, weights: str | Path | None = None, *, pretrained: bool = False
) -> SiameseNetwork:
    """Make the network of a preset, in eval mode.

    Args:
        name: a preset, see `preset_names`.
        weights: a .pth or .safetensors file to load strictly; None leaves it random.
        pretrained: load the weights that `find_weights` finds; siamcorr-lite's are shipped.

    Raises:
        OSError: the weights cannot be read, or are not on this machine.
        ValueError: no such preset, or weights of another network.

    Example:
        >>> build_model("nanotrack-v2").preset.crop.search_size
        255
    """
    preset = load_preset(name)
    network = assemble(preset)
    if pretrained and weights is None:
        weights = find_weights(preset)
    if weights is not None:
        load_weights(network, read_checkpoint(weights))
    return network.eval()


def load_weights(network: SiameseNetwork, checkpoint: Checkpoint) -> list[str]:
    """Load strictly, less what the preset names as unused; return the keys left out.

    Raises:
        ValueError: keys or shapes differ; the text lists the first and names the preset that fits.
    """
    preset = network.preset
    state_dict = checkpoint.as_published(preset.weights)
    faults = mismatches(network, state_dict)
    if faults:
        other = matching_preset(checkpoint)
        hint = f"they fit {other.name}" if other else "they fit no known preset"
        few = "; ".join(faults[:3]) + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")
        raise ValueError(f"{checkpoint.path}: not weights of {preset.name}, {hint} ({few})")
    network.load_state_dict(state_dict)
    return checkpoint.dropped(preset.weights)


def matching_preset(checkpoint: Checkpoint) -> Preset | None:
    """The preset whose network takes these weights strictly, if there is one."""
    for name in preset_names():
        preset = load_preset(name)
        with torch.device("meta"):
            network = assemble(preset)
        if not mismatches(network, checkpoint.as_published(preset.weights)):
            return preset
    return None


def convert(
    source: str | Path, destination: str | Path, name: str | None = None, half: bool = False
) -> list[str]:
    """Write a checkpoint in the clean form: safetensors, strict keys, origin in the metadata.

    Args:
        source: .pth or .safetensors.
        destination: the .safetensors to write.
        name: the preset; None takes the one that fits.
        half: write floats of 16 bits; they are read as 32 again, rounded to three digits.

    Returns:
        The keys left out, because the network never calls them.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the source is no checkpoint, or fits no preset, or not the named one.
    """
    if Path(destination).suffix != ".safetensors":
        raise ValueError(f"{destination}: the name must end in .safetensors")
    checkpoint = read_checkpoint(source)
    preset = load_preset(name) if name else matching_preset(checkpoint)
    if preset is None:
        raise ValueError(f"{source}: fits no known preset ({', '.join(preset_names())})")
    network = assemble(preset)
    dropped = load_weights(network, checkpoint)
    digest = checkpoint.metadata.get("source_sha256") or sha256(source)
    known = digest == preset.weights.sha256
    metadata = {
        "preset": preset.name,
        "source_sha256": digest,
        "licence": preset.weights.licence if known else "unknown",
        "source": preset.weights.page if known else Path(source).name,
    }
    weights = network.half().state_dict() if half else network.state_dict()
    write_safetensors(destination, weights, metadata)
    return dropped


def find_weights(preset: Preset) -> Path:
    """Look for a preset's weights where they are kept on this machine.

    In order: the folder that SIAMCORR_WEIGHTS names, what is shipped with the package, the user's
    cache (~/.cache/siamcorr), and weights/ in the folder that SIAMCORR_SHARED names (in a
    checkout: ../shared).

    Raises:
        FileNotFoundError: they are in none of them; the text says where to get them.
    """
    cache = cache_dir()
    shared = Path(os.environ.get("SIAMCORR_SHARED") or configs_dir().parent.parent / "shared")
    own = os.environ.get("SIAMCORR_WEIGHTS")
    shipped = Path(__file__).resolve().parent.parent / "weights"
    for folder in [*([Path(own)] if own else []), shipped, cache, shared / "weights"]:
        for file in (f"{preset.name}.safetensors", preset.weights.file):
            if (folder / file).is_file():
                return folder / file
    weights = preset.weights
    what = weights.url or f"{weights.file} from {weights.page}"
    way = f"siamcorr download {preset.name}, or " if weights.url else ""
    raise FileNotFoundError(
        f"no weights for {preset.name} on this machine: {way}put {what} into {cache}"
    )


def cache_dir() -> Path:
    """The user's folder for weights; it need not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siamcorr"
