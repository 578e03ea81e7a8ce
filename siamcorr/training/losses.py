"""Losses of an anchor-free head: score, box and quality."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, distributed

from siamcorr.layers.heads.lite import LiteMaps
from siamcorr.training.cell_points import boxes_at, cell_points

CENTER = 0.5  # cells in this central part of the box, relative to its sides, are positive


class Losses(NamedTuple):
    """Three losses, each a mean over its cells."""

    score: Tensor
    box: Tensor
    quality: Tensor

    def total(self, boxes: float = 1.0) -> Tensor:
        """Return the weighted sum, which is minimised; `boxes` multiplies the box loss."""
        return self.score + 2 * boxes * self.box + 0.5 * self.quality


def anchor_free_losses(
    maps: LiteMaps, box: Tensor, present: Tensor, marked: Tensor, stride: int, size: int
) -> Losses:
    """Compute focal loss of the score, GIoU loss of the boxes, cross-entropy of the quality.

    Cells in the central part of the box are positive, cells outside the box are negative, and the
    cells between are ignored. If no cell is in a small box, the cell nearest to its centre is
    positive.

    Args:
        maps: maps from `LiteHead.maps`.
        box: (B, 4) left, top, right, bottom in pixels of the search crop.
        present: (B,) 1 if the search crop shows the target.
        marked: (B,) 1 if box and present are known; other pairs are ignored.
        stride: pixels between cells.
        size: side of the search crop in pixels.

    Reference:
        Lin et al., Focal Loss, 2017, arXiv:1708.02002; Rezatofighi et al., GIoU, 2019,
        arXiv:1902.09630; Tian et al., FCOS, 2019, arXiv:1904.01355.
    """
    points = cell_points(maps.logits.shape[-1], stride, size).to(box)
    known = marked[:, None, None] > 0
    positive, negative = (labels & known for labels in cell_labels(points, box, present))
    logits = maps.logits[:, 0].float()
    count = mean_over_processes(positive.sum()).clamp(min=1)
    score = _focal(logits, positive)[positive | negative].sum() / count
    predicted = boxes_at(points, maps.boxes.float()).permute(0, 2, 3, 1)[positive]
    true = box[:, None, None, :].expand(*positive.shape, 4)[positive]
    iou, giou = overlaps(predicted, true)
    quality = maps.quality[:, 0].float()[positive]
    return Losses(
        score,
        (1 - giou).sum() / count,
        F.binary_cross_entropy_with_logits(quality, iou.detach(), reduction="sum") / count,
    )


def mean_over_processes(value: Tensor) -> Tensor:
    """Average over all training processes, so that every cell has the same weight."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    total = value.detach().float()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def cell_labels(points: Tensor, box: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return the masks of positive and of negative cells, (B, S, S) each."""
    middle = (box[:, :2] + box[:, 2:]) / 2
    half = (box[:, 2:] - box[:, :2]) / 2
    offset = (points[None] - middle[:, :, None, None]).abs()  # (B, 2, S, S)
    inside = (offset / half[:, :, None, None]).amax(dim=1)
    nearest = offset.square().sum(dim=1)
    closest = nearest <= nearest.amin(dim=(1, 2), keepdim=True)
    there = present[:, None, None] > 0
    positive = ((inside < CENTER) | closest) & there
    negative = ((inside > 1) | ~there) & ~positive
    return positive, negative


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU in 0..1 and generalised IoU in -1..1 of boxes (N, 4), row by row."""
    area_a = (a[:, 2:] - a[:, :2]).prod(dim=1)
    area_b = (b[:, 2:] - b[:, :2]).prod(dim=1)
    common = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    shared = common.prod(dim=1)
    union = area_a + area_b - shared
    iou = shared / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def _focal(logits: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    label = target.to(logits.dtype)
    plain = F.binary_cross_entropy_with_logits(logits, label, reduction="none")
    wrong = torch.where(target, 1 - logits.sigmoid(), logits.sigmoid())
    weight = torch.where(target, alpha, 1 - alpha)
    return weight * wrong**gamma * plain
