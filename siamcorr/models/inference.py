"""A network as it runs fastest when nothing more is learnt."""

import copy
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from siamcorr.layers import fuse, use_native, use_pointwise, use_winograd
from siamcorr.models.memory import keep_freed_memory
from siamcorr.models.siamese import Network, SiameseNetwork

# Convolutions over few channels at full resolution lose by it, all others gain.
CHANNELS_FIRST = ("dcfnet",)

# For a CPU: the first layers of a backbone, whose maps are the largest, and how many images they
# take at a time, so that the maps stay in its caches. The layers behind them gain by many.
IN_PARTS = {
    "mobilenetv3-small": (3, 8),
    "mobilenetv3-small-lite": (3, 8),
    "mobilenetv3-small-narrow": (3, 8),
    "mobilenetv3-small-wide": (3, 8),
}


def for_inference(network: SiameseNetwork, *, compiled: bool = False) -> SiameseNetwork:
    """A copy with norms folded in, channels last where it helps, and no gradients.

    On the CPU wide 3x3 convolutions are computed by Winograd's minimal filtering, which takes
    four times the memory for their weights, 1x1 ones as matrix products, depthwise ones and the
    activation behind them by our C++ kernels where those were built, and the first layers of
    small backbones take a large batch in parts. Its maps equal the network's to 1e-5; it can be
    neither trained nor saved under the published keys.

    Args:
        network: any; it is not changed.
        compiled: let torch.compile make one kernel of many. That takes a C++ compiler and, at
            the first frame, half a minute or more.

    Example:
        >>> from siamcorr.models import build_model
        >>> fast = for_inference(build_model("nanotrack-v2"))
        >>> any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
        False
    """
    fast = fuse(copy.deepcopy(network).eval()).requires_grad_(False)
    backbone = network.preset.network.backbone
    if network.device.type == "cpu":  # on a GPU cuDNN chooses for itself
        fast = use_winograd(fast)
    if network.device.type == "cpu" and not compiled and backbone in IN_PARTS:
        count, images = IN_PARTS[backbone]
        features = cast("nn.Sequential", fast.backbone.features)
        if not isinstance(features[0], InParts):  # it was one of these already
            early, late = features[:count], features[count:]
            fast.backbone.features = nn.Sequential(InParts(early, images), late)
    if backbone not in CHANNELS_FIRST:
        fast = fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if network.device.type == "cpu" and not compiled:
        fast = use_pointwise(use_native(fast))
    if compiled:
        for part in (fast.backbone, fast.neck, cast("nn.Module", fast.head)):
            if part is not None:
                part.compile()
    return fast


class InParts(nn.Module):
    """Layers that take a few images of a batch at a time, on a CPU.

    Args:
        layers: to run.
        images: at a time.
    """

    def __init__(self, layers: nn.Module, images: int) -> None:
        super().__init__()
        self.layers, self.images = layers, images

    def forward(self, images: Tensor) -> Tensor:
        """Maps of images (B, C, H, W), as the layers make them."""
        if len(images) <= self.images or images.device.type != "cpu":
            maps: Tensor = self.layers(images)
            return maps
        return torch.cat([self.layers(part) for part in torch.split(images, self.images)])


def fast_copy(network: Network) -> Network:
    """The network's `for_inference`, or itself where it is one already or none of torch's.

    From the first call on the process keeps the memory that it frees, see `keep_freed_memory`.
    """
    _keep_freed_memory_once()
    if not isinstance(network, SiameseNetwork) or is_optimized(network):
        return network
    return for_inference(network)


def is_optimized(network: SiameseNetwork) -> bool:
    """Whether it wants no gradients, and holds no norm that could still be folded."""
    if any(part.requires_grad for part in network.parameters()):
        return False
    return _norms(fuse(copy.deepcopy(network).eval())) == _norms(network)


def _norms(network: SiameseNetwork) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@cache
def _keep_freed_memory_once() -> bool:
    return keep_freed_memory()
