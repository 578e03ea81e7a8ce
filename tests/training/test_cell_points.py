"""Points: where cells look, and maps read at other points than their own."""

import torch

from siamcorr.training.cell_points import boxes_at, cell_points, sample_cells


def test_the_middle_cell_looks_at_the_middle():
    points = cell_points(17, 16, 255)
    assert points[:, 8, 8].tolist() == [127.5, 127.5]
    assert points[:, 8, 9].tolist() == [143.5, 127.5]


def test_boxes_are_seen_from_their_cells():
    boxes = boxes_at(cell_points(3, 8, 31), torch.full((1, 4, 3, 3), 2.0))
    assert boxes[0, :, 1, 0].tolist() == [5.5, 13.5, 9.5, 17.5]


def test_maps_of_fewer_cells_are_read_where_they_are():
    """A teacher with 15 cells and a student with 17 of the same stride share 15."""
    maps = torch.rand(2, 3, 15, 15)
    read, inside = sample_cells(maps, cell_points(15, 16, 255), cell_points(17, 16, 255))
    torch.testing.assert_close(read[:, :, 1:16, 1:16], maps)
    assert inside[1:16, 1:16].all()
    assert int(inside.sum()) == 225


def test_maps_of_half_the_stride_are_read_at_every_other_cell():
    maps = torch.rand(1, 1, 25, 25)
    read, inside = sample_cells(maps, cell_points(25, 8, 255), cell_points(9, 16, 255))
    torch.testing.assert_close(read[0, 0], maps[0, 0, 12 - 8 : 12 + 9 : 1][::2, 4:21:2])
    assert inside.all()


def test_between_cells_it_is_a_mean():
    maps = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]])
    points = cell_points(2, 10, 20)
    between = points[:, :1, :1] + 5
    read, _ = sample_cells(maps, points, between)
    assert read.item() == 3.0
