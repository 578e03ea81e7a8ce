"""Optimise a trained network for inference."""

import copy
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from siamcorr.layers import fuse, use_native, use_pointwise, use_winograd
from siamcorr.layers.heads.lite_folded import FoldedPixelwiseHead, foldable
from siamcorr.models.memory import keep_freed_memory
from siamcorr.models.siamese import Network, SiameseNetwork

# channels_last slows down convolutions over few channels at full resolution, and speeds up others.
CHANNELS_FIRST = ("dcfnet",)

# For a CPU: how many first layers of a backbone, whose maps are the largest, run in parts, and how
# many images per part, so that the maps stay in the caches. Later layers gain from large batches.
EARLY_LAYERS = {
    "mobilenetv3-small": (3, 8),
    "mobilenetv3-small-wide": (3, 8),
}


def for_inference(network: SiameseNetwork, *, compiled: bool = False) -> SiameseNetwork:
    """Copy a network for inference: folded norms, channels_last where it is faster, no gradients.

    On the CPU, wide 3x3 convolutions use Winograd's minimal filtering, with four times the memory
    for their weights. Depthwise and 1x1 convolutions and channel attention, with the activation
    after them, use our C++ kernels if these were built; 1x1 weights are then kept twice. Otherwise
    1x1 convolutions are matrix products. The first layers of small backbones split a large batch.
    The copy's maps equal the network's to 1e-5. It cannot be trained, and cannot be saved under the
    published keys.

    Args:
        network: it does not change.
        compiled: use torch.compile. It needs a C++ compiler, and half a minute or more at the
            first frame.

    Example:
        >>> from siamcorr.models import build_model
        >>> fast = for_inference(build_model("nanotrack-v2"))
        >>> any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
        False
    """
    fast = fuse_network(network).requires_grad_(False)
    backbone = network.preset.network.backbone
    if network.device.type == "cpu":  # on a GPU cuDNN chooses for itself
        fast = use_winograd(fast)
    if network.device.type == "cpu" and not compiled and backbone in EARLY_LAYERS:
        count, images = EARLY_LAYERS[backbone]
        features = cast("nn.Sequential", fast.backbone.features)
        if not isinstance(features[0], InParts):  # false for a network that was already optimised
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


def fuse_network(network: SiameseNetwork) -> SiameseNetwork:
    """Copy a network with folded norms, and with a folded head if there is one for it.

    Templates of the copy may have another form than the network's.

    Args:
        network: it does not change.
    """
    fast = fuse(copy.deepcopy(network).eval())
    head = fast.head
    if foldable(head):
        fast.head = FoldedPixelwiseHead(head)  # type: ignore[misc]
    return fast


class InParts(nn.Module):
    """Run layers on a few images of a batch at a time, on a CPU.

    Args:
        layers: the layers to run.
        images: how many images at a time.
    """

    def __init__(self, layers: nn.Module, images: int) -> None:
        super().__init__()
        self.layers, self.images = layers, images

    def forward(self, images: Tensor) -> Tensor:
        """Run the layers on images (B, C, H, W)."""
        if len(images) <= self.images or images.device.type != "cpu":
            maps: Tensor = self.layers(images)
            return maps
        return torch.cat([self.layers(part) for part in torch.split(images, self.images)])


def fast_copy(network: Network) -> Network:
    """Optimise a network by `for_inference`, unless it is optimised or not a `SiameseNetwork`.

    From the first call on, the process keeps the memory that it frees, see `keep_freed_memory`.
    """
    _keep_freed_memory_once()
    if not isinstance(network, SiameseNetwork) or is_optimized(network):
        return network
    return for_inference(network)


def is_optimized(network: SiameseNetwork) -> bool:
    """Whether a network has no gradients, and no norm that can still be folded."""
    if any(part.requires_grad for part in network.parameters()):
        return False
    return _norms(fuse(copy.deepcopy(network).eval())) == _norms(network)


def _norms(network: SiameseNetwork) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@cache
def _keep_freed_memory_once() -> bool:
    return keep_freed_memory()
