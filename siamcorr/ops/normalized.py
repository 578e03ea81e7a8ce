"""Zero-normalised cross-correlation: template matching invariant to brightness and contrast."""

import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops.checks import (
    Method,
    check_batch,
    check_channels,
    check_options,
    check_tensors,
    pad_search,
)
from siamcorr.ops.xcorr import xcorr_depthwise

# A window is flat if its variance is below this share of its mean square, times its cells: ten
# times what rounding leaves of a constant window.
FLAT = 1e-15


def xcorr_normalized(search: Tensor, template: Tensor, *, method: Method = "auto") -> Tensor:
    """Correlate each search with its own template, both normalised in mean and contrast.

    response[b, 0, i, j] = sum over c of
        sum over u, v of (x - mean x) * (z - mean z) / sqrt(sum (x - mean x)^2 * sum (z - mean z)^2)

    where x is the window of search under the template. Each channel contributes a number in -1..1,
    equal to TM_CCOEFF_NORMED of cv2.matchTemplate. A flat window or template contributes 0. The
    sums over windows are computed in float64, because they are differences of large numbers.

    Args:
        search: x, (B, C, H, W).
        template: z, (B, C, h, w). A batch of 1 serves every search.
        method: as in `siamcorr.xcorr_naive`.

    Returns:
        (B, 1, H - h + 1, W - w + 1), in -C..C; the dtype of search.

    Raises:
        TypeError: not tensors, or not of one floating dtype.
        ValueError: a template batch that is neither 1 nor B, other shapes, different devices, a
            template larger than search.

    Reference:
        Lewis, Fast Normalized Cross-Correlation, 1995.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 3, 32, 32)
        >>> response = xcorr_normalized(image, image[:, :, 8:16, 4:12])
        >>> int(response.argmax()) == 8 * 25 + 4
        True
    """
    check_tensors("xcorr_normalized", search, template)
    check_batch("xcorr_normalized", search, template)
    check_channels("xcorr_normalized", search, template)
    check_options("xcorr_normalized", 1, method)
    pad_search("xcorr_normalized", search, template, "valid")
    # Subtracting the mean of the whole search changes no result, and reduces rounding.
    x, z = _standardize(search.double()), _standardize(template.double())
    size = template.shape[2:]
    cells = size[0] * size[1]
    mean = F.avg_pool2d(x, size, stride=1)  # (B, C, H', W')
    square = F.avg_pool2d(x * x, size, stride=1)
    variance = square - mean * mean
    energy = (z * z).sum(dim=(2, 3), keepdim=True)
    given = template.detach().double()
    whole = given.square().mean(dim=(2, 3), keepdim=True)
    spread = (given - given.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(2, 3), keepdim=True)
    flat = FLAT * max(cells, 100)
    patterned = (variance > flat * square) & (spread > flat * whole)
    scale = (variance * cells * energy).where(patterned, 1.0).rsqrt()
    wide = torch.promote_types(search.dtype, torch.float32)  # half precision would overflow
    product = xcorr_depthwise(x.to(wide), z.to(wide), method=method)
    each = (product * scale).where(patterned, 0.0)
    return each.sum(dim=1, keepdim=True).to(search.dtype)


def _standardize(planes: Tensor) -> Tensor:
    """Subtract the mean and divide by the largest absolute value; neither changes a result."""
    planes = planes - planes.mean(dim=(2, 3), keepdim=True)
    largest = planes.detach().abs().amax(dim=(2, 3), keepdim=True)
    return planes / largest.where(largest > 0, 1.0)
