"""The gradients of a depthwise correlation, computed as depthwise correlations.

The gradient of search is the response of the padded grad to the template rotated by 180 degrees.
The gradient of the template is the response of search to grad. So a method needs only a function
for the response.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops.shapes import Geometry

Response = Callable[[Tensor, Tensor, Geometry], Tensor]


def search_gradient(
    response: Response, template: Tensor, grad: Tensor, geometry: Geometry
) -> Tensor:
    """(B or 1, C, h, w) with (B, C, H', W') -> (B, C, H, W)."""
    rows, columns = geometry.extent[0] - 1, geometry.extent[1] - 1
    padded = F.pad(grad, (columns, columns, rows, rows))
    batch, channels, height, width = padded.shape
    padded_sizes = geometry.with_sizes((batch, channels, height, width))
    return response(padded, template.flip(2, 3), padded_sizes)


def template_gradient(
    response: Response, search: Tensor, grad: Tensor, geometry: Geometry
) -> Tensor:
    """(B, C, H, W) with (B, C, H', W') -> (B or 1, C, h, w)."""
    every = response(search, grad, Geometry("depthwise", geometry.search, geometry.response))
    return template_cells(every, geometry)


def template_cells(every: Tensor, geometry: Geometry) -> Tensor:
    """Take the cells of a dilated template from (B, ..., extent); sum over a shared batch."""
    d = geometry.dilation
    cells = every if d == 1 else every[..., ::d, ::d]  # a full slice has no batching rule
    if geometry.shared:
        cells = cells.sum(0, keepdim=True)
    return cells.reshape(geometry.template)
