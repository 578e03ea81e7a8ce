"""Data: clips and sequences with ground truth boxes."""

from siamcorr.data.datasets.sequences import Sequence, find_sequences
from siamcorr.data.synthetic.clips import ClipConfig, render_clip

__all__ = ["ClipConfig", "Sequence", "find_sequences", "render_clip"]
