"""Fuse layers for inference: fold norms into convolutions, and merge pairs of convolutions.

In eval mode a batch norm is a scale and a shift per channel, and a convolution can do both:

    BN(W x + b) = (g / s) W x + (b - mean) g / s + beta,   s = sqrt(variance + eps)
"""

import copy
from collections import Counter
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

from siamcorr.layers.separable import DepthwiseConv2d, SeparableConv2d

M = TypeVar("M", bound=nn.Module)


def fuse(module: M) -> M:
    """Copy a module with fewer layers, for inference; results are equal up to rounding.

    Norms are folded into the convolution before them: neighbours in an nn.Sequential, and
    children named convN and bnN, in this order. A depthwise convolution and the 1x1 convolution
    after it become one if that costs fewer multiplications. A removed layer becomes an
    nn.Identity, so that indices in a Sequential stay. A convolution that is used in two places
    keeps its norms.

    Args:
        module: in eval mode; it does not change.

    Raises:
        ValueError: the module is in training mode, where norms depend on the batch.

    Example:
        >>> fuse(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval())
        Sequential(
          (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
          (1): Identity()
        )
    """
    if module.training:
        raise ValueError("fuse: the module is in training mode; call eval() first")
    fused = copy.deepcopy(module)
    parents = [*fused.modules()]
    places = Counter(id(child) for parent in parents for child in parent._modules.values())
    for parent in parents:
        for first, second in _neighbours(parent):
            conv, norm = parent.get_submodule(first), parent.get_submodule(second)
            if type(norm) is not nn.BatchNorm2d or norm.running_mean is None or norm.training:
                continue
            target = _last_conv(conv)
            if target is None or target.out_channels != norm.num_features:
                continue
            if places[id(conv)] == places[id(target)] == 1:
                fold_norm(target, norm)
                setattr(parent, second, nn.Identity())
        for first, second in _neighbours(parent):
            one, two = parent.get_submodule(first), parent.get_submodule(second)
            merged = merge_pointwise(one, two)
            if merged is not None:
                setattr(parent, first, merged)
                setattr(parent, second, nn.Identity())
    return fused


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Fold norm into the conv before it, in place."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    with torch.no_grad():
        scale = (variance + norm.eps).rsqrt()  # (O,)
        if norm.affine:
            scale = scale * norm.weight
        shift = -mean * scale + (norm.bias if norm.affine else 0)
        if conv.bias is not None:
            shift = shift + conv.bias * scale
        # A new parameter, because another convolution may share the old one.
        conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None])
        conv.bias = nn.Parameter(shift)


def merge_pointwise(first: nn.Module, second: nn.Module) -> nn.Conv2d | None:
    """Merge a depthwise and a following 1x1 convolution, if that costs fewer multiplications.

    Per input channel and output cell, the pair costs k*k*M + M*O, the merged one k*k*O. So merging
    pays for few outputs, or if k is 1.
    """
    if not (type(first) is nn.Conv2d and type(second) is nn.Conv2d):
        return None
    plain = second.kernel_size == second.stride == (1, 1) and second.padding in (0, (0, 0))
    if not (plain and second.groups == 1 and first.groups == first.in_channels > 1):
        return None
    cells = first.kernel_size[0] * first.kernel_size[1]
    per_channel, outputs = first.out_channels // first.in_channels, second.out_channels
    if cells * outputs >= cells * per_channel + per_channel * outputs:
        return None
    merged = nn.Conv2d(
        first.in_channels,
        outputs,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        first.dilation,  # type: ignore[arg-type]
        padding_mode=first.padding_mode,
        device=first.weight.device,
        dtype=first.weight.dtype,
    )
    with torch.no_grad():
        merged.weight.copy_(_product(first.weight, second.weight, first.in_channels))
        shift = torch.zeros_like(second.weight[:, 0, 0, 0]) if second.bias is None else second.bias
        if first.bias is not None:
            shift = shift + second.weight[:, :, 0, 0] @ first.bias
        merged.bias = nn.Parameter(shift.clone())
    return merged.eval()


def _product(depthwise: Tensor, pointwise: Tensor, channels: int) -> Tensor:
    """(C*M, 1, kh, kw) and (O, C*M, 1, 1) -> (O, C, kh, kw)."""
    filters = depthwise.reshape(channels, -1, *depthwise.shape[2:])  # (C, M, kh, kw)
    mixing = pointwise.reshape(len(pointwise), channels, -1)  # (O, C, M)
    return torch.einsum("ocm,cmij->ocij", mixing, filters)


def _neighbours(parent: nn.Module) -> list[tuple[str, str]]:
    """Names of children that run one right after the other."""
    # Not named_children(), which skips the second occurrence of a module.
    children = ((name, child) for name, child in parent._modules.items() if child is not None)
    names = [name for name, child in children if not isinstance(child, nn.Identity)]
    if isinstance(parent, nn.Sequential):
        return [*pairwise(names)]
    norms = ((name, name.replace("conv", "bn", 1)) for name in names if name.startswith("conv"))
    return [(name, norm) for name, norm in norms if norm in names[names.index(name) :]]


def _last_conv(module: nn.Module) -> nn.Conv2d | None:
    """The module itself if it is a convolution, or its last convolution."""
    if type(module) is SeparableConv2d:
        return _last_conv(module.pointwise)
    # A subclass of nn.Conv2d may compute its weight, as torch's parametrizations do.
    return module if type(module) in (nn.Conv2d, DepthwiseConv2d) else None  # type: ignore[return-value]
