"""Data: clips and sequences with known boxes."""

from siamcorr.data.synthetic import ClipConfig, render_clip

__all__ = ["ClipConfig", "render_clip"]
