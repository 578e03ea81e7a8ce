"""Centres of a map's cells in the search crop, and boxes relative to them."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cell_points(cells: int, stride: int, size: int) -> Tensor:
    """Return the centre of each cell: (2, S, S), x and y in pixels of the search crop."""
    line = size / 2 + stride * (torch.arange(cells) - cells // 2)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y])


def boxes_at(points: Tensor, distances: Tensor) -> Tensor:
    """Convert distances (B, 4, S, S) at points (2, S, S) to left, top, right, bottom."""
    return torch.cat([points - distances[:, :2], points + distances[:, 2:]], dim=1)


def sample_cells(maps: Tensor, points: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Sample maps at given points with bilinear interpolation.

    Args:
        maps: (B, C, S, S).
        points: (2, S, S), the centres of the maps' cells.
        samples: (2, T, T), the points to sample.

    Returns:
        (B, C, T, T), and a mask (T, T) of the points that lie inside the maps.
    """
    first, last = points[:, 0, 0], points[:, -1, -1]
    place = 2 * (samples - first[:, None, None]) / (last - first)[:, None, None] - 1  # (2, T, T)
    grid = place.permute(1, 2, 0)[None].expand(len(maps), -1, -1, -1)
    sampled = F.grid_sample(maps, grid, padding_mode="border", align_corners=True)
    return sampled, (place.abs() <= 1 + 1e-4).all(dim=0)
