"""Networks: backbones, the Siamese network, presets, and checkpoints in and out."""

from siamcorr.models.build import (
    build_model,
    cache_dir,
    convert,
    find_weights,
    load_weights,
    matching_preset,
)
from siamcorr.models.checkpoints import Checkpoint, read_checkpoint
from siamcorr.models.presets import Preset, load_preset, preset_names
from siamcorr.models.siamese import SiameseNetwork, Template

__all__ = [
    "Checkpoint",
    "Preset",
    "SiameseNetwork",
    "Template",
    "build_model",
    "cache_dir",
    "convert",
    "find_weights",
    "load_preset",
    "load_weights",
    "matching_preset",
    "preset_names",
    "read_checkpoint",
]
