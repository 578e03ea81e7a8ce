"""The three correlations of Siamese trackers, side by side: naive, batched, depthwise.

All slide a template z over a search x and sum the products (cross-correlation: no flip). They
differ in what is paired with what, and in whether the channels are summed:

    naive      every search with every template, channels summed    SiamFC's first formulation
    batched    search b with its own template b, channels summed    SiamFC, SiamRPN
    depthwise  search b with template b, each channel by itself     SiamRPN++ and most after it

Order is (search, template), as in F.conv2d(input, weight).
"""

from torch import Tensor

from siamcorr.ops.contract import (
    Padding,
    check_batch,
    check_channels,
    check_tensors,
    pad_search,
    shapes,
)
from siamcorr.ops.methods import conv


def xcorr_naive(
    search: Tensor, template: Tensor, *, padding: Padding = "valid", scale: float = 1.0
) -> Tensor:
    """Correlate every search with every template.

    response[b, o, i, j] = scale * sum over c, u, v of x[b, c, i + u, j + v] * z[o, c, u, v]

    Args:
        search: x, (B, C, H, W).
        template: z, (O, C, h, w): O templates, not tied to the batch.
        padding: zeros around search: an int, "valid" (0) or "same" (the response has search's
            size).
        scale: multiplies the template before the sum, so that half precision does not overflow.

    Returns:
        (B, O, H', W') with H' = H + 2*padding - h + 1, likewise W'; the dtype of search.

    Raises:
        TypeError: no tensors, or not of one floating dtype.
        ValueError: other shapes, different devices, a template larger than the padded search.

    Reference:
        Bertinetto et al., Fully-Convolutional Siamese Networks, 2016, arXiv:1606.09549.

    Example:
        >>> import torch
        >>> xcorr_naive(torch.rand(3, 8, 22, 22), torch.rand(1, 8, 6, 6)).shape
        torch.Size([3, 1, 17, 17])
    """
    check_tensors("xcorr_naive", search, template)
    check_channels("xcorr_naive", search, template)
    search = pad_search("xcorr_naive", search, template, padding)
    return conv.naive(search, _scaled(template, scale))


def xcorr_batched(
    search: Tensor, template: Tensor, *, padding: Padding = "valid", scale: float = 1.0
) -> Tensor:
    """Correlate each search with its own template, or with its own O templates.

    response[b, o, i, j] = scale * sum over c, u, v of x[b, c, i + u, j + v] * z[b, o*C + c, u, v]

    Args:
        search: x, (B, C, H, W).
        template: z, (B, O*C, h, w); O = 1 is SiamFC, O > 1 the up-channel form of SiamRPN. A
            batch of 1 serves every search.
        padding: as in `xcorr_naive`.
        scale: as in `xcorr_naive`.

    Returns:
        (B, O, H', W') with H' = H + 2*padding - h + 1, likewise W'; the dtype of search.

    Raises:
        TypeError: no tensors, or not of one floating dtype.
        ValueError: a template batch that is neither 1 nor B, channels that are no multiple of
            C, other shapes, different devices, a template larger than the padded search.

    Reference:
        Bertinetto et al., 2016, arXiv:1606.09549 (O = 1). Li et al., High Performance Visual
        Tracking with Siamese Region Proposal Network, CVPR 2018 (O > 1).

    Example:
        >>> import torch
        >>> xcorr_batched(torch.rand(4, 8, 22, 22), torch.rand(4, 5 * 8, 6, 6)).shape
        torch.Size([4, 5, 17, 17])
    """
    check_tensors("xcorr_batched", search, template)
    check_batch("xcorr_batched", search, template)
    channels = search.shape[1]
    if channels == 0 or template.shape[1] == 0 or template.shape[1] % channels:
        raise ValueError(
            "xcorr_batched: the template must have O times the channels of search, got "
            f"{template.shape[1]} for {channels} ({shapes(search, template)})"
        )
    search = pad_search("xcorr_batched", search, template, padding)
    return conv.batched(search, _paired(search, _scaled(template, scale)))


def xcorr_depthwise(
    search: Tensor, template: Tensor, *, padding: Padding = "valid", scale: float = 1.0
) -> Tensor:
    """Correlate each search with its own template, channel by channel, without summing them.

    response[b, c, i, j] = scale * sum over u, v of x[b, c, i + u, j + v] * z[b, c, u, v]

    Args:
        search: x, (B, C, H, W).
        template: z, (B, C, h, w). A batch of 1 serves every search.
        padding: as in `xcorr_naive`.
        scale: as in `xcorr_naive`.

    Returns:
        (B, C, H', W') with H' = H + 2*padding - h + 1, likewise W'; the dtype of search.

    Raises:
        TypeError: no tensors, or not of one floating dtype.
        ValueError: a template batch that is neither 1 nor B, other shapes, different devices, a
            template larger than the padded search.

    Reference:
        Li et al., SiamRPN++: Evolution of Siamese Visual Tracking with Very Deep Networks,
        2018, arXiv:1812.11703.

    Example:
        >>> import torch
        >>> xcorr_depthwise(torch.rand(4, 8, 29, 29), torch.rand(4, 8, 5, 5)).shape
        torch.Size([4, 8, 25, 25])
    """
    check_tensors("xcorr_depthwise", search, template)
    check_batch("xcorr_depthwise", search, template)
    check_channels("xcorr_depthwise", search, template)
    search = pad_search("xcorr_depthwise", search, template, padding)
    return conv.depthwise(search, _paired(search, _scaled(template, scale)))


def _scaled(template: Tensor, scale: float) -> Tensor:
    return template if scale == 1.0 else template * scale


def _paired(search: Tensor, template: Tensor) -> Tensor:
    """An empty batch needs a template of batch 1: no method knows zero groups."""
    return template if len(search) else template.new_zeros((1, *template.shape[1:]))
