"""Data: clips and sequences with known boxes."""

from siamcorr.data.sequences import Sequence, find_sequences
from siamcorr.data.synthetic import ClipConfig, render_clip

__all__ = ["ClipConfig", "Sequence", "find_sequences", "render_clip"]
