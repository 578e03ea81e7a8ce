"""Pixel-wise correlation: every template cell is a 1x1 kernel."""

import torch
from torch import Tensor

from siamcorr.ops.checks import (
    check_batch,
    check_channels,
    check_scale,
    check_tensors,
    format_shapes,
)
from siamcorr.ops.torch_versions import autocast_active


def xcorr_pixelwise(search: Tensor, template: Tensor, *, scale: float = 1.0) -> Tensor:
    """Compare every cell of the template with every cell of search.

    response[b, u*w + v, i, j] = scale * sum over c of x[b, c, i, j] * z[b, c, u, v]

    The response keeps the size of search and has one channel per template cell. So it keeps the
    target's shape, which the other correlations sum away.

    Args:
        search: x, (B, C, H, W).
        template: z, (B, C, h, w). A batch of 1 serves every search.
        scale: multiplies the template before the sum, so that half precision does not overflow.

    Returns:
        (B, h*w, H, W), template cells in row-major order; the dtype of search.

    Raises:
        TypeError: not tensors, or not of one floating dtype.
        ValueError: a template batch that is neither 1 nor B, an empty template, other shapes,
            different devices.

    Reference:
        Yan et al., Alpha-Refine, 2020, arXiv:2012.06815; LightTrack, 2021, arXiv:2104.14545.

    Example:
        >>> import torch
        >>> xcorr_pixelwise(torch.rand(2, 48, 16, 16), torch.rand(1, 48, 8, 8)).shape
        torch.Size([2, 64, 16, 16])
    """
    check_tensors("xcorr_pixelwise", search, template)
    check_batch("xcorr_pixelwise", search, template)
    check_channels("xcorr_pixelwise", search, template)
    if template.shape[2] == 0 or template.shape[3] == 0:
        raise ValueError(
            f"xcorr_pixelwise: the template must have a size ({format_shapes(search, template)})"
        )
    kind = search.device.type
    if autocast_active(kind):
        with torch.autocast(kind, enabled=False):  # keep the dtype of the arguments
            return xcorr_pixelwise(search, template, scale=scale)
    if type(scale) is not float:
        check_scale("xcorr_pixelwise", scale)
    if scale != 1.0:
        template = template * scale
    response: Tensor
    if search.stride(1) == 1 and search.stride(3) >= search.shape[1]:
        # channels_last search, or a slice of its channels: give the response the same layout.
        places = search.permute(0, 2, 3, 1)  # (B, H, W, C)
        response = places.flatten(1, 2) @ template.flatten(2)  # (B, H*W, h*w)
        return response.reshape(*places.shape[:3], response.shape[2]).permute(0, 3, 1, 2)
    cells = template.flatten(2).transpose(1, 2)  # (B or 1, h*w, C)
    response = cells @ search.flatten(2)  # (B, h*w, H*W)
    return response.reshape(*response.shape[:2], *search.shape[2:])
