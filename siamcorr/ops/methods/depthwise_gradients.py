"""The gradients of a depthwise correlation are depthwise correlations themselves.

So a method that has the response has both gradients: the search's is the response of grad,
padded, to the template turned by 180 degrees; the template's is the response of search to grad.
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
    turned = geometry.resized((batch, channels, height, width))
    return response(padded, template.flip(2, 3), turned)


def template_gradient(
    response: Response, search: Tensor, grad: Tensor, geometry: Geometry
) -> Tensor:
    """(B, C, H, W) with (B, C, H', W') -> (B or 1, C, h, w)."""
    every = response(search, grad, Geometry("depthwise", geometry.search, geometry.response))
    return own_cells(every, geometry)


def own_cells(every: Tensor, geometry: Geometry) -> Tensor:
    """Of (B, ..., extent) the cells of a dilated template, summed over a batch that shared it."""
    d = geometry.dilation
    cells = every if d == 1 else every[..., ::d, ::d]  # a whole slice has no rule for batches
    if geometry.shared:
        cells = cells.sum(0, keepdim=True)
    return cells.reshape(geometry.template)
