"""Networks: backbones, the Siamese network, presets, and reading and writing of checkpoints."""

from siamcorr.models.build import (
    build_model,
    cache_dir,
    convert,
    find_weights,
    load_weights,
    matching_preset,
)
from siamcorr.models.checkpoints import Checkpoint, read_checkpoint
from siamcorr.models.download import download
from siamcorr.models.inference import fast_copy, for_inference
from siamcorr.models.memory import keep_freed_memory
from siamcorr.models.presets import Preset, load_preset, preset_names
from siamcorr.models.registry import assemble
from siamcorr.models.siamese import Network, SiameseNetwork, Template

__all__ = [
    "Checkpoint",
    "Network",
    "Preset",
    "SiameseNetwork",
    "Template",
    "assemble",
    "build_model",
    "cache_dir",
    "convert",
    "download",
    "fast_copy",
    "find_weights",
    "for_inference",
    "keep_freed_memory",
    "load_preset",
    "load_weights",
    "matching_preset",
    "preset_names",
    "read_checkpoint",
]
