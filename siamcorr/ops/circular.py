"""Circular correlation, with periodic borders, as correlation filters use it."""

import torch
from torch import Tensor

from siamcorr.ops.checks import (
    check_batch,
    check_channels,
    check_scale,
    check_tensors,
    format_shapes,
)


def xcorr_circular(search: Tensor, template: Tensor, *, scale: float = 1.0) -> Tensor:
    """Correlate each search with its own template of the same size, with periodic borders.

    response[b, 0, i, j] = scale * sum over c, u, v of
        x[b, c, (i + u) mod H, (j + v) mod W] * z[b, c, u, v]

    computed as the inverse FFT of the sum over c of X * conj(Z).

    Args:
        search: x, (B, C, H, W).
        template: z, (B, C, H, W). A batch of 1 serves every search.
        scale: multiplies the template before the sum.

    Returns:
        (B, 1, H, W), with zero shift at [0, 0]; the dtype of search.

    Raises:
        TypeError: not tensors, or not of one floating dtype.
        ValueError: a template batch that is neither 1 nor B, different sizes, other shapes,
            different devices.

    Reference:
        Wang et al., DCFNet: Discriminant Correlation Filters Network, 2017, arXiv:1704.04057.

    Example:
        >>> import torch
        >>> x = torch.rand(1, 8, 20, 20)
        >>> response = xcorr_circular(x.roll((3, 4), dims=(2, 3)), x)
        >>> divmod(int(response.argmax()), 20)
        (3, 4)
    """
    check_tensors("xcorr_circular", search, template)
    check_batch("xcorr_circular", search, template)
    check_channels("xcorr_circular", search, template)
    check_scale("xcorr_circular", scale)
    size = search.shape[2:]
    if template.shape[2:] != size or 0 in size:
        raise ValueError(
            "xcorr_circular: search and template must have the same size, at least 1x1 "
            f"({format_shapes(search, template)})"
        )
    if search.shape[0] == 0:  # FFTs of empty batches fail
        return (search * template * scale).sum(dim=1, keepdim=True)
    # Not every device has an FFT in half precision, and the sum would lose accuracy.
    wide = torch.promote_types(search.dtype, torch.float32)
    x = torch.fft.rfft2(search.to(wide))
    z = torch.fft.rfft2(template.to(wide) * scale)
    spectrum = (x * z.conj()).sum(dim=1, keepdim=True)  # (B, 1, H, W // 2 + 1)
    response: Tensor = torch.fft.irfft2(spectrum, s=size)
    return response.to(search.dtype)
