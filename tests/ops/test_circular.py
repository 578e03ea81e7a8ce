"""Circular correlation, against rolling the search."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from siamcorr.ops import xcorr_circular


def pair(batch: int = 2, size=(5, 6), own: bool = True):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 3, *size, generator=generator, dtype=torch.float64)
    z = torch.randn(batch if own else 1, 3, *size, generator=generator, dtype=torch.float64)
    return x, z


def rolled(x: Tensor, z: Tensor) -> Tensor:
    """Each response is the whole sum after search was rolled by so much."""
    rows, columns = x.shape[2:]
    sums = [
        (x.roll((-i, -j), dims=(2, 3)) * z).sum(dim=(1, 2, 3))
        for i in range(rows)
        for j in range(columns)
    ]
    return torch.stack(sums, dim=1).reshape(len(x), 1, rows, columns)


@pytest.mark.parametrize("size", [(5, 6), (4, 4), (1, 7), (3, 1)])
@pytest.mark.parametrize("own", [True, False])
def test_reference(size, own):
    x, z = pair(size=size, own=own)
    torch.testing.assert_close(xcorr_circular(x, z), rolled(x, z))
    torch.testing.assert_close(xcorr_circular(x, z, scale=3), 3 * rolled(x, z))


@settings(max_examples=20, deadline=None)
@given(dy=st.integers(0, 4), dx=st.integers(0, 5))
def test_properties_shift(dy, dx):
    x, z = pair()
    moved = xcorr_circular(x.roll((dy, dx), dims=(2, 3)), z)
    torch.testing.assert_close(moved, xcorr_circular(x, z).roll((dy, dx), dims=(2, 3)))


def test_gradcheck():
    inputs = [tensor.requires_grad_() for tensor in pair(size=(3, 4))]
    assert gradcheck(xcorr_circular, inputs)
    assert gradgradcheck(xcorr_circular, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype(dtype):
    x, z = (tensor.to(dtype) for tensor in pair())
    response = xcorr_circular(x, z)
    assert response.dtype == dtype
    exact = rolled(x.double(), z.double())
    assert (response.double() - exact).norm() < 0.01 * exact.norm()


def test_errors():
    x, z = pair()
    with pytest.raises(ValueError, match=r"must be of one size \(search \(2, 3, 5, 6\), template"):
        xcorr_circular(x, z[..., :5])
    with pytest.raises(ValueError, match="batch must be 1 or that of search, got 2 for 3"):
        xcorr_circular(torch.cat([x, x[:1]]), z)
    with pytest.raises(ValueError, match="as many channels, got 3 and 2"):
        xcorr_circular(x, z[:, :2])


def test_compile():
    x, z = pair()
    compiled = torch.compile(xcorr_circular, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, z), xcorr_circular(x, z))
