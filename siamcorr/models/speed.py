"""What a tracker does with a network that nobody has made fast."""

import copy
from functools import cache

from torch import nn

from siamcorr.layers import fuse
from siamcorr.models.inference import for_inference
from siamcorr.models.memory import keep_freed_memory
from siamcorr.models.siamese import Network, SiameseNetwork


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
