"""Build the network of a preset; find, load and convert its weights."""

import os
from pathlib import Path

import torch
from torch import Tensor

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
    """Build the network of a preset, in eval mode.

    Args:
        name: a preset, see `preset_names`.
        weights: a .pth or .safetensors file to load strictly; None keeps random weights.
        pretrained: load the weights that `find_weights` finds; those of siamcorr-lite are shipped
            with the package.

    Raises:
        OSError: the weights cannot be read, or were not found.
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
    """Load strictly, without the keys that the preset names as unused; return the skipped keys.

    Raises:
        ValueError: keys or shapes differ; the text lists the first differences and names the
            preset that fits.
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
    """Find the preset whose network loads these weights strictly; None if there is none."""
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
    """Convert a checkpoint to safetensors, with the network's keys and the origin as metadata.

    Args:
        source: a .pth or .safetensors file.
        destination: the .safetensors file to write.
        name: the preset; None takes the one that fits.
        half: write float16; weights load as float32 again, rounded to three digits. A tensor
            stays as it is if it does not fit, such as a variance above 65504.

    Returns:
        The skipped keys, which the network does not use.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the source is not a checkpoint, or does not fit the preset or any preset.
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
    weights = network.state_dict()
    if half:
        weights = {key: as_half(value) for key, value in weights.items()}
    write_safetensors(destination, weights, metadata)
    return dropped


def as_half(value: Tensor) -> Tensor:
    """Round to float16, unless more than three digits would be lost, or it has no fractions.

    Numbers above 65504 become infinite in float16, and those below 0.00006 lose digits.
    """
    if not value.is_floating_point():
        return value
    rounded = value.half()
    error = torch.linalg.vector_norm(rounded.double() - value.double())
    return rounded if error <= 1e-3 * torch.linalg.vector_norm(value.double()) else value


def find_weights(preset: Preset) -> Path:
    """Find a preset's weights on this machine.

    Folders, in this order: $SIAMCORR_WEIGHTS, the package itself, the user's cache
    (~/.cache/siamcorr), and weights/ in $SIAMCORR_SHARED (in a checkout: ../shared).

    Raises:
        FileNotFoundError: not in any of them; the text says where to get the weights.
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
    """The user's cache folder for weights; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siamcorr"
