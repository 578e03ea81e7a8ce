"""Modules that own parameters, built on `siamcorr.ops`: convolutions, blocks, necks, heads."""

from siamcorr.layers.asymmetric import AsymmetricCorrelation
from siamcorr.layers.blocks import Block, ConvBNReLU, DilConv, ReLUConvBN, SepConv
from siamcorr.layers.channel_attention import ChannelAttention, SqueezeExcite
from siamcorr.layers.correlation import DepthwiseCorrelation, PixelwiseCorrelation
from siamcorr.layers.fusion import fuse
from siamcorr.layers.heads import (
    AsymmetricHead,
    CrossCorrelationHead,
    DepthwiseAnchorHead,
    DepthwiseBoxHead,
    LiteHead,
    LitePixelwiseHead,
    MatrixHead,
    MultiLevelAnchorHead,
    MultiLevelBoxHead,
    PixelwiseDepthwiseHead,
    PixelwiseHead,
    Prediction,
    SharedPixelwiseHead,
    UpChannelHead,
)
from siamcorr.layers.matrix_correlation import MatrixCorrelation, MatrixEncoding
from siamcorr.layers.native_depthwise import NativeDepthwiseConv2d
from siamcorr.layers.native_gate import NativeGate
from siamcorr.layers.native_pointwise import NativePointwiseConv2d
from siamcorr.layers.native_sequential import use_native
from siamcorr.layers.necks import (
    AdjustAllLayer,
    AdjustLayer,
    LevelFusion,
    SeparableNeck,
    center_crop,
    fuse_levels,
)
from siamcorr.layers.padding import same_pad
from siamcorr.layers.parameter_counts import conv_parameters, count_parameters
from siamcorr.layers.pointwise import PointwiseConv2d, use_pointwise
from siamcorr.layers.receptive_field import Field, receptive_fields
from siamcorr.layers.search_space import BLOCKS, FactorizedReduce, Identity, Zero, make_block
from siamcorr.layers.separable import DepthwiseConv2d, SeparableConv2d
from siamcorr.layers.spatial_separable import SpatialSeparableConv2d
from siamcorr.layers.winograd import WinogradConv2d, use_winograd

__all__ = [
    "BLOCKS",
    "AdjustAllLayer",
    "AdjustLayer",
    "AsymmetricCorrelation",
    "AsymmetricHead",
    "Block",
    "ChannelAttention",
    "ConvBNReLU",
    "CrossCorrelationHead",
    "DepthwiseAnchorHead",
    "DepthwiseBoxHead",
    "DepthwiseConv2d",
    "DepthwiseCorrelation",
    "DilConv",
    "FactorizedReduce",
    "Field",
    "Identity",
    "LevelFusion",
    "LiteHead",
    "LitePixelwiseHead",
    "MatrixCorrelation",
    "MatrixEncoding",
    "MatrixHead",
    "MultiLevelAnchorHead",
    "MultiLevelBoxHead",
    "NativeDepthwiseConv2d",
    "NativeGate",
    "NativePointwiseConv2d",
    "PixelwiseCorrelation",
    "PixelwiseDepthwiseHead",
    "PixelwiseHead",
    "PointwiseConv2d",
    "Prediction",
    "ReLUConvBN",
    "SepConv",
    "SeparableConv2d",
    "SeparableNeck",
    "SharedPixelwiseHead",
    "SpatialSeparableConv2d",
    "SqueezeExcite",
    "UpChannelHead",
    "WinogradConv2d",
    "Zero",
    "center_crop",
    "conv_parameters",
    "count_parameters",
    "fuse",
    "fuse_levels",
    "make_block",
    "receptive_fields",
    "same_pad",
    "use_native",
    "use_pointwise",
    "use_winograd",
]
