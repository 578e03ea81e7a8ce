"""Modules that own parameters, built on `siamcorr.ops`."""

from siamcorr.layers.correlation import ChannelAttention, PixelwiseCorrelation
from siamcorr.layers.heads import PixelwiseHead, Prediction

__all__ = ["ChannelAttention", "PixelwiseCorrelation", "PixelwiseHead", "Prediction"]
