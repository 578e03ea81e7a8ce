"""Losses: labels of cells, and values of the losses."""

import math

import numpy as np
import pytest
import torch

from siamcorr.layers.heads.lite import LiteMaps
from siamcorr.tracking import box_iou
from siamcorr.tracking.decoding import point_grid
from siamcorr.training.cell_points import boxes_at, cell_points
from siamcorr.training.losses import anchor_free_losses, cell_labels, overlaps

SIZE, STRIDE = 255, 16
POINTS = cell_points(17, STRIDE, SIZE)
HERE = torch.ones(1)


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def random_maps(batch=2, cells=17):
    generator = torch.Generator().manual_seed(0)
    logits, raw, quality = (
        torch.randn(batch, channels, cells, cells, generator=generator) for channels in (1, 4, 1)
    )
    distances = (3.5 + 0.3 * raw).exp()
    return LiteMaps(*(part.requires_grad_() for part in (logits, distances, quality)))


def losses(maps, box, present, marked=None):
    marked = torch.ones_like(present) if marked is None else marked
    return anchor_free_losses(maps, box, present, marked, STRIDE, SIZE)


@pytest.mark.parametrize(("cells", "stride", "size"), [(17, 16, 255), (16, 16, 255), (25, 8, 287)])
def test_points_are_those_of_the_tracker(cells, stride, size):
    points = cell_points(cells, stride, size)
    assert points.dtype == torch.float32
    np.testing.assert_array_equal(points.numpy(), point_grid(cells, stride, size))


def test_labels_by_hand():
    """Points at 127.5 +- 16 k; the box is 80 wide and 48 high, its middle part 40 by 24."""
    box = boxes((87.5, 103.5, 167.5, 151.5))
    positive, negative = cell_labels(POINTS, box, HERE)
    rows, columns = positive[0].nonzero().T.tolist()
    assert set(zip(rows, columns, strict=True)) == {(8, 7), (8, 8), (8, 9)}
    rows, columns = (~negative[0]).nonzero().T.tolist()
    assert set(zip(rows, columns, strict=True)) == {(r, c) for r in (7, 8, 9) for c in range(6, 11)}
    assert not (positive & negative).any()


def test_labels_of_a_box_beside_the_middle():
    """Left and top come first: the cell in row 4 and column 10 looks at (159.5, 63.5)."""
    positive, _ = cell_labels(POINTS, boxes((149.5, 53.5, 169.5, 73.5)), HERE)
    assert positive[0].nonzero().tolist() == [[4, 10]]


@pytest.mark.parametrize(
    ("box", "others"),
    [
        ((130, 120, 133, 124), 288),
        ((131, 125, 131, 125), 288),  # without an area
        ((127.5, 127.5, 127.5, 127.5), 256),  # nor do those in line with it count: 0 / 0
    ],
)
def test_a_box_smaller_than_a_cell_takes_the_nearest(box, others):
    positive, negative = cell_labels(POINTS, boxes(box), HERE)
    assert positive[0].nonzero().tolist() == [[8, 8]]
    assert negative.sum() == others


def test_absent_targets_make_all_cells_negative():
    box = boxes((87.5, 103.5, 167.5, 151.5)).expand(2, 4)
    positive, negative = cell_labels(POINTS, box, torch.tensor([0.0, 1.0]))
    assert positive.sum(dim=(1, 2)).tolist() == [0, 3]
    assert negative.sum(dim=(1, 2)).tolist() == [289, 289 - 15]


def test_distances_at_points():
    distances = torch.tensor([1.0, 2, 3, 4])[None, :, None, None].expand(1, 4, 17, 17)
    found = boxes_at(POINTS, distances)
    assert found[0, :, 8, 9].tolist() == [142.5, 125.5, 146.5, 131.5]


def test_overlaps_against_the_tracker():
    generator = torch.Generator().manual_seed(0)
    corner = 50 * torch.rand(2, 200, 2, generator=generator, dtype=torch.float64)
    size = 1 + 40 * torch.rand(2, 200, 2, generator=generator, dtype=torch.float64)
    iou, giou = overlaps(*torch.cat([corner, corner + size], dim=2))
    xywh = torch.cat([corner, size], dim=2).tolist()
    expected = [box_iou(a, b) for a, b in zip(*xywh, strict=True)]
    np.testing.assert_allclose(iou, expected, atol=1e-12)
    assert (giou <= iou + 1e-12).all()
    assert (giou >= -1).all()


@pytest.mark.parametrize(
    ("a", "b", "iou", "giou"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1, 1),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3, 1 / 3),  # the hull is the union
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7, 1 / 7 - 2 / 9),
        ((0, 0, 1, 1), (3, 0, 4, 1), 0, -1 / 2),
        ((0, 0, 4, 4), (1, 1, 3, 2), 1 / 8, 1 / 8),
    ],
)
def test_overlaps_by_hand(a, b, iou, giou):
    for one, other in ((a, b), (b, a)):
        found = overlaps(boxes(one), boxes(other))
        assert [value.item() for value in found] == pytest.approx([iou, giou], abs=1e-6)


def perfect_maps(box, sharp):
    """What a head should say of a box, as sharply as wanted."""
    positive, _ = cell_labels(POINTS, box, torch.ones(len(box)))
    logits = sharp * (2.0 * positive[:, None] - 1)
    corners = box[:, :, None, None].expand(-1, 4, 17, 17)
    distances = torch.cat([POINTS - corners[:, :2], corners[:, 2:] - POINTS], dim=1)
    return LiteMaps(logits, distances, torch.full_like(logits, sharp))


def test_perfect_maps_cost_nothing():
    box = boxes((80, 100, 170, 150), (10, 20, 90, 120))
    found = losses(perfect_maps(box, 20), box, torch.ones(2))
    assert max(value.item() for value in found) < 1e-5
    assert found.total().item() == pytest.approx(found.score + 2 * found.box + 0.5 * found.quality)


def test_each_map_has_its_own_loss():
    """All but the quality's, which also says how good the boxes are."""
    box = boxes((80, 100, 170, 150))
    maps = perfect_maps(box, 20)
    worse = {"logits": -maps.logits, "boxes": maps.boxes + 30, "quality": -maps.quality}
    costly = {
        part: [value.item() > 0.3 for value in losses(maps._replace(**{part: value}), box, HERE)]
        for part, value in worse.items()
    }
    assert costly == {
        "logits": [True, False, False],
        "boxes": [False, True, True],
        "quality": [False, False, True],
    }


def test_the_box_loss_can_weigh_more():
    box = boxes((80, 100, 170, 150))
    maps = perfect_maps(box, 20)
    found = losses(maps._replace(boxes=maps.boxes + 30), box, HERE)
    assert (found.total(3.0) - found.total()).item() == pytest.approx(4 * found.box.item())


def test_losses_against_plain_formulas():
    """Focal loss over the cells that count, and means over the positive cells, one by one."""
    maps, box = random_maps(), boxes((80, 100, 170, 150), (10, 20, 90, 120))
    present = torch.tensor([1.0, 1.0])
    found = losses(maps, box, present)
    score = distance = quality = count = 0.0
    for b, (left, top, right, bottom) in enumerate(box.tolist()):
        middle, half = ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top)
        for row in range(17):
            for column in range(17):
                x, y = POINTS[:, row, column].tolist()
                away = max(2 * abs(v - m) / h for v, m, h in zip((x, y), middle, half, strict=True))
                p = torch.sigmoid(maps.logits[b, 0, row, column]).item()
                if away > 1:
                    score += -0.75 * p**2 * math.log(1 - p)
                if away >= 0.5:
                    continue
                count += 1
                score += -0.25 * (1 - p) ** 2 * math.log(p)
                d = maps.boxes[b, :, row, column].tolist()
                guess = boxes((x - d[0], y - d[1], x + d[2], y + d[3]))
                iou, giou = overlaps(guess, box[b : b + 1])
                distance += 1 - giou.item()
                q = torch.sigmoid(maps.quality[b, 0, row, column]).item()
                quality -= iou.item() * math.log(q) + (1 - iou.item()) * math.log(1 - q)
    expected = [score / count, distance / count, quality / count]
    assert [value.item() for value in found] == pytest.approx(expected, rel=1e-4)


def test_gradients():
    """Of the score at all cells that count, of box and quality at the positive ones."""
    maps, box = random_maps(), boxes((80, 100, 170, 150), (10, 20, 90, 120))
    present = torch.tensor([1.0, 0.0])
    losses(maps, box, present).total().backward()
    positive, negative = cell_labels(POINTS, box, present)
    reached = [(part.grad != 0).any(dim=1) for part in maps]
    assert torch.equal(reached[0], positive | negative)
    assert torch.equal(reached[1], positive)
    assert torch.equal(reached[2], positive)


def test_quality_does_not_teach_the_boxes():
    maps, box = random_maps(1), boxes((80, 100, 170, 150))
    losses(maps, box, HERE).quality.backward()
    assert maps.boxes.grad is None or not maps.boxes.grad.any()
    assert maps.quality.grad.any()


def test_quality_is_best_at_the_overlap():
    """The gradient is sigmoid(quality) - IoU."""
    box = boxes((80, 100, 170, 150))
    maps = perfect_maps(box, 20)
    maps = maps._replace(boxes=maps.boxes + torch.tensor([0.0, 0, 90, 0])[:, None, None])
    for wanted, sign in ((0.4, -1), (0.5, 0), (0.6, 1)):  # half of the box is the target
        quality = torch.full((1, 1, 17, 17), math.log(wanted / (1 - wanted)), requires_grad=True)
        losses(maps._replace(quality=quality), box, HERE).quality.backward()
        assert quality.grad.sum().item() == pytest.approx(0.1 * sign, abs=1e-3)


@pytest.mark.parametrize(
    ("box", "present"),
    [
        ((127.5, 127.5, 127.5, 127.5), 1),  # on a cell's point, without an area
        ((0, 0, 0, 0), 1),
        ((0, 0, 0, 0), 0),
        ((-40, -40, -20, -30), 1),  # outside
        ((-500, -500, 900, 900), 1),
        ((120, 100, 120, 180), 1),
    ],
)
@pytest.mark.parametrize("scale", [1, 1e-9, 1e4])
def test_degenerate_boxes_are_finite(box, present, scale):
    maps = random_maps(1)
    with torch.no_grad():
        maps.boxes.mul_(scale)
        maps.logits.mul_(100)
    found = losses(maps, boxes(box), torch.tensor([float(present)]))
    assert all(value.isfinite() for value in found)
    found.total().backward()
    assert all(part.grad is None or part.grad.isfinite().all() for part in maps)
    if not present:
        assert found.box == found.quality == 0


def test_half_precision_is_summed_in_full():
    maps, box = random_maps(), boxes((80, 100, 170, 150), (10, 20, 90, 120))
    half = LiteMaps(*(part.detach().half() for part in maps))
    found = losses(half, box, torch.ones(2))
    assert {value.dtype for value in found} == {torch.float32}
    torch.testing.assert_close(found, losses(maps, box, torch.ones(2)), rtol=5e-3, atol=5e-3)
