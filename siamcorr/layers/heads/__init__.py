"""Heads: from the features of both branches to scores and boxes on the response map.

Every head has two steps: `template(features)` runs once per target and returns a tuple of tensors
whose first dimension is the batch; `forward(features, template)` runs for every search.
"""

from siamcorr.layers.heads.anchors import DepthwiseAnchorHead, UpChannelHead
from siamcorr.layers.heads.boxes import AsymmetricHead, DepthwiseBoxHead, MatrixHead
from siamcorr.layers.heads.cross_correlation import CrossCorrelationHead
from siamcorr.layers.heads.lite import LiteHead
from siamcorr.layers.heads.lite_pixelwise import LitePixelwiseHead
from siamcorr.layers.heads.multi_level import MultiLevelAnchorHead, MultiLevelBoxHead
from siamcorr.layers.heads.pixelwise import PixelwiseHead, SharedPixelwiseHead
from siamcorr.layers.heads.pixelwise_depthwise import PixelwiseDepthwiseHead
from siamcorr.layers.heads.prediction import Prediction

__all__ = [
    "AsymmetricHead",
    "CrossCorrelationHead",
    "DepthwiseAnchorHead",
    "DepthwiseBoxHead",
    "LiteHead",
    "LitePixelwiseHead",
    "MatrixHead",
    "MultiLevelAnchorHead",
    "MultiLevelBoxHead",
    "PixelwiseDepthwiseHead",
    "PixelwiseHead",
    "Prediction",
    "SharedPixelwiseHead",
    "UpChannelHead",
]
