"""Names of backbones and heads in presets, and `assemble`, which builds a network from them."""

from collections.abc import Callable
from typing import Any

from torch import nn

from siamcorr.layers import (
    AdjustAllLayer,
    CrossCorrelationHead,
    DepthwiseAnchorHead,
    DepthwiseBoxHead,
    LiteHead,
    LitePixelwiseHead,
    MultiLevelAnchorHead,
    MultiLevelBoxHead,
    PixelwiseDepthwiseHead,
    PixelwiseHead,
    SharedPixelwiseHead,
)
from siamcorr.models.alexnet import AlexNet, AlexNetLegacy
from siamcorr.models.dcfnet import CorrelationFilterHead, DCFNetFeatures
from siamcorr.models.mobilenetv2 import MobileNetV2
from siamcorr.models.mobilenetv3 import WIDE_ROWS, MobileNetV3Small
from siamcorr.models.presets import NetworkConfig, Preset
from siamcorr.models.resnet import ResNet50
from siamcorr.models.siamese import SiameseNetwork

# A backbone's attribute `channels` is a number, or a tuple with one per level.
BACKBONES: dict[str, Callable[[NetworkConfig], Any]] = {
    "alexnet": lambda config: AlexNet(),
    "alexnet-legacy": lambda config: AlexNetLegacy(),
    "dcfnet": lambda config: DCFNetFeatures(),
    "mobilenetv2": lambda config: MobileNetV2(config.levels),
    "mobilenetv3-small": lambda config: MobileNetV3Small(),
    "mobilenetv3-small-wide": lambda config: MobileNetV3Small(WIDE_ROWS),
    "resnet50": lambda config: ResNet50(config.levels),
}
# Arguments: channels (one number, or one per level), and the number of anchors.
HEADS: dict[str, Callable[[Any, int], nn.Module]] = {
    "correlation-filter": lambda channels, anchors: CorrelationFilterHead(),
    "cross-correlation": lambda channels, anchors: CrossCorrelationHead(),
    "depthwise-anchors": lambda channels, anchors: DepthwiseAnchorHead(channels, anchors=anchors),
    "depthwise-boxes": lambda channels, anchors: DepthwiseBoxHead(channels),
    "lite": lambda channels, anchors: LiteHead(channels),
    "lite-pixelwise": lambda channels, anchors: LitePixelwiseHead(
        channels, (96, 96, 96, 96, 80, 64)
    ),
    "multi-level-anchors": MultiLevelAnchorHead,
    "multi-level-anchors-mean": lambda channels, anchors: MultiLevelAnchorHead(
        channels, anchors, weighted=False
    ),
    "multi-level-boxes": lambda channels, anchors: MultiLevelBoxHead(channels),
    "pixelwise": lambda channels, anchors: PixelwiseHead(channels),
    "pixelwise-depthwise": lambda channels, anchors: PixelwiseDepthwiseHead(channels),
    "pixelwise-shared": lambda channels, anchors: SharedPixelwiseHead(channels),
}


def assemble(preset: Preset) -> SiameseNetwork:
    """Build the network of a preset, with random weights, in training mode.

    Raises:
        ValueError: the preset names an unknown part, or parts that do not fit together.
    """
    config = preset.network
    for kind, name, known in (
        ("backbone", config.backbone, BACKBONES),
        ("head", config.head, HEADS),
    ):
        if name not in known:
            raise ValueError(f"{preset.name}: no {kind} is called {name}, only {', '.join(known)}")
    try:
        backbone = BACKBONES[config.backbone](config)
    except (TypeError, ValueError):
        raise ValueError(f"{preset.name}: no levels {config.levels} in {config.backbone}") from None
    channels = config.neck or backbone.channels
    try:
        neck = AdjustAllLayer(backbone.channels, config.neck) if config.neck else None
        head = HEADS[config.head](channels, len(preset.recipe.anchors.ratios))
    except (TypeError, ValueError, IndexError, RuntimeError):
        text = f"{config.head} does not fit {config.backbone} with channels {channels}"
        raise ValueError(f"{preset.name}: {text}") from None
    return SiameseNetwork(preset, backbone, head, neck)
