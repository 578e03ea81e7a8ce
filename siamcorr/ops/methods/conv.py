"""Correlation by F.conv2d with groups: the form that public trackers use, and the reference.

conv2d takes one set of kernels for the whole batch. To give each search its own template, the
batch is folded into the channels, and `groups` keeps the pairs apart.
"""

import torch.nn.functional as F
from torch import Tensor


def naive(search: Tensor, template: Tensor) -> Tensor:
    """(B, C, H, W) with (O, C, h, w), each with each -> (B, O, H', W')."""
    return F.conv2d(search, template)


def batched(search: Tensor, template: Tensor) -> Tensor:
    """(B, C, H, W) with (B or 1, O*C, h, w), pair by pair -> (B, O, H', W')."""
    batch, channels, height, width = search.shape
    kernels = template.reshape(-1, channels, *template.shape[2:])  # (B*O or O, C, h, w)
    if template.shape[0] == 1:
        return naive(search, kernels)
    folded = search.reshape(1, batch * channels, height, width)
    response = F.conv2d(folded, kernels, groups=batch)  # (1, B*O, H', W')
    return response.reshape(batch, -1, *response.shape[2:])


def depthwise(search: Tensor, template: Tensor) -> Tensor:
    """(B, C, H, W) with (B or 1, C, h, w), channel by channel -> (B, C, H', W')."""
    batch, channels, height, width = search.shape
    kernels = template.reshape(-1, 1, *template.shape[2:])  # (B*C or C, 1, h, w)
    if template.shape[0] == 1:
        return F.conv2d(search, kernels, groups=channels)
    folded = search.reshape(1, batch * channels, height, width)
    response = F.conv2d(folded, kernels, groups=batch * channels)  # (1, B*C, H', W')
    return response.reshape(batch, channels, *response.shape[2:])
