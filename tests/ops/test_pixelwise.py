"""Pixel-wise correlation."""

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from siamcorr import xcorr_pixelwise


def pair(batch: int = 2, channels: int = 3, size=(4, 5), z=(2, 3), own: bool = True):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, channels, *size, generator=generator, dtype=torch.float64)
    leading = batch if own else 1
    return x, torch.randn(leading, channels, *z, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("own", [True, False])
def test_reference(own):
    x, z = pair(own=own)
    torch.testing.assert_close(xcorr_pixelwise(x, z), reference.pixelwise(x, z))
    torch.testing.assert_close(xcorr_pixelwise(x, z, scale=3), 3 * reference.pixelwise(x, z))


def test_known_values():
    z = torch.arange(1.0, 7).reshape(1, 1, 2, 3)
    response = xcorr_pixelwise(torch.full((1, 1, 1, 2), 10.0), z)
    assert response.flatten(1).tolist() == [[10, 10, 20, 20, 30, 30, 40, 40, 50, 50, 60, 60]]
    assert xcorr_pixelwise(torch.rand(0, 1, 4, 4), z).shape == (0, 6, 4, 4)


@settings(max_examples=20, deadline=None)
@given(channels=st.integers(1, 4), h=st.integers(1, 3), w=st.integers(1, 3))
def test_properties(channels, h, w):
    """Linear, independent of the batch order, and equivariant to shifts of search."""
    x, z = pair(3, channels, z=(h, w))
    response = xcorr_pixelwise(x, z)
    torch.testing.assert_close(xcorr_pixelwise(2 * x, z), 2 * response)
    torch.testing.assert_close(xcorr_pixelwise(x.flip(0), z.flip(0)), response.flip(0))
    torch.testing.assert_close(xcorr_pixelwise(x.roll(1, 3), z), response.roll(1, 3))


@pytest.mark.parametrize("own", [True, False])
def test_gradcheck(own):
    inputs = [tensor.requires_grad_() for tensor in pair(own=own)]
    assert gradcheck(xcorr_pixelwise, inputs)
    assert gradgradcheck(xcorr_pixelwise, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype(dtype):
    x, z = (tensor.to(dtype) for tensor in pair())
    response = xcorr_pixelwise(x, z)
    assert response.dtype == dtype
    torch.testing.assert_close(
        response.double(), reference.pixelwise(x.double(), z.double()), rtol=0.02, atol=0.02
    )


def test_layout():
    x, z = pair(channels=4)
    expected = xcorr_pixelwise(x, z)
    last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, z)]
    response = xcorr_pixelwise(*last)
    torch.testing.assert_close(response, expected)
    assert response.is_contiguous(memory_format=torch.channels_last)
    part = xcorr_pixelwise(last[0][:, 1:3], last[1][:, 1:3])  # some channels of such
    torch.testing.assert_close(part, xcorr_pixelwise(x[:, 1:3], z[:, 1:3]))
    assert part.is_contiguous(memory_format=torch.channels_last)
    shared = z[:1].expand(2, -1, -1, -1)
    torch.testing.assert_close(xcorr_pixelwise(x, shared), xcorr_pixelwise(x, z[:1]))


@pytest.mark.parametrize(
    ("search", "template", "text"),
    [
        # A template for one, two searches: where h*w divides, .view would pair at random.
        ((4, 3, 8, 8), (2, 3, 4, 4), "batch must be 1 or that of search, got 2 for 4"),
        ((2, 3, 8, 8), (2, 4, 4, 4), r"channels, got 3 and 4 \(search \(2, 3, 8, 8\)"),
        ((2, 3, 8, 8), (2, 3, 0, 4), "must have a size"),
        ((2, 3, 8), (2, 3, 4, 4), "search must have 4 dimensions, got 3"),
    ],
)
def test_errors(search, template, text):
    with pytest.raises(ValueError, match=f"^xcorr_pixelwise: .*{text}"):
        xcorr_pixelwise(torch.rand(search), torch.rand(template))


def test_compile():
    x, z = pair()
    compiled = torch.compile(xcorr_pixelwise, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, z), xcorr_pixelwise(x, z))


def test_export():
    class Net(torch.nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return xcorr_pixelwise(x, z)

    x, z = pair()
    program = torch.export.export(Net(), (x, z))
    torch.testing.assert_close(program.module()(x, z), xcorr_pixelwise(x, z))
