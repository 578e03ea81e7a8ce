"""Where the cells of a map look, and boxes seen from there."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cell_points(cells: int, stride: int, size: int) -> Tensor:
    """Where each cell looks: (2, S, S), x and y in pixels of the search crop."""
    line = size / 2 + stride * (torch.arange(cells) - cells // 2)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y])


def boxes_at(points: Tensor, distances: Tensor) -> Tensor:
    """Distances (B, 4, S, S) at points (2, S, S) -> left, top, right, bottom (B, 4, S, S)."""
    return torch.cat([points - distances[:, :2], points + distances[:, 2:]], dim=1)


def sample_cells(maps: Tensor, points: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Read maps at other points than their own cells', bilinearly.

    Args:
        maps: (B, C, S, S).
        points: (2, S, S), where their cells look.
        wanted: (2, T, T), where to read them.

    Returns:
        (B, C, T, T), and (T, T) true where the wanted point lies among the map's cells.
    """
    first, last = points[:, 0, 0], points[:, -1, -1]
    place = 2 * (wanted - first[:, None, None]) / (last - first)[:, None, None] - 1  # (2, T, T)
    grid = place.permute(1, 2, 0)[None].expand(len(maps), -1, -1, -1)
    read = F.grid_sample(maps, grid, padding_mode="border", align_corners=True)
    return read, (place.abs() <= 1 + 1e-4).all(dim=0)
