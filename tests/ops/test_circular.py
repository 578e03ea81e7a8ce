"""Circular correlation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import pair, relative
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from siamcorr import xcorr_depthwise
from siamcorr.ops import xcorr_circular


def same_size(size=(5, 6), batch=2, channels=3, shared=False, dtype=torch.float64, seed=0):
    options = {"size": size, "z": size, "channels": channels, "shared": shared, "seed": seed}
    return pair(xcorr_depthwise, batch, dtype=dtype, **options)


def by_rolling(x: Tensor, z: Tensor) -> Tensor:
    """The oracle: search rolled back by (i, j), times the template."""
    response = x.new_zeros(x.shape[0], 1, *x.shape[2:])
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            rolled = torch.roll(x, (-i, -j), dims=(2, 3))
            response[:, 0, i, j] = (rolled * z).sum(dim=(1, 2, 3))
    return response


SIZES = [(4, 4), (5, 5), (5, 6), (6, 5), (7, 1), (1, 8), (1, 1), (2, 9)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shared", [False, True])
def test_reference(size, shared):
    x, z = same_size(size, shared=shared)
    torch.testing.assert_close(xcorr_circular(x, z), by_rolling(x, z))
    torch.testing.assert_close(xcorr_circular(x, z, scale=0.5), by_rolling(x, z) / 2)


@pytest.mark.parametrize("size", SIZES)
def test_reference_numpy(size):
    x, z = same_size(size)
    spectrum = (np.fft.fft2(x.numpy()) * np.fft.fft2(z.numpy()).conj()).sum(1, keepdims=True)
    expected = np.fft.ifft2(spectrum).real
    torch.testing.assert_close(xcorr_circular(x, z), torch.from_numpy(expected))


def test_known_values():
    """Template cell (2 - i, 1 - j), modulo the size, meets an impulse at (2, 1)."""
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 2, 1] = 1
    z = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    expected = torch.tensor([[8.0, 7, 9], [5, 4, 6], [2, 1, 3]])
    torch.testing.assert_close(xcorr_circular(x, z)[0, 0], expected)


@pytest.mark.parametrize("templates", [0, 1])
def test_known_values_empty_batch(templates):
    x, z = (torch.rand(n, 2, 4, 4, requires_grad=True) for n in (0, templates))
    response = xcorr_circular(x, z)
    assert response.shape == (0, 1, 4, 4)
    response.sum().backward()
    assert x.grad.shape == x.shape
    assert torch.equal(z.grad, torch.zeros_like(z))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 7), columns=st.integers(1, 7), i=st.integers(-9, 9), j=st.integers(-9, 9)
)
def test_properties(rows, columns, i, j):
    """Shifted as search is, all the way round; against the shift of the template; linear."""
    x, z = same_size((rows, columns))
    response = xcorr_circular(x, z)
    moved = {"shifts": (i, j), "dims": (2, 3)}
    torch.testing.assert_close(xcorr_circular(x.roll(**moved), z), response.roll(**moved))
    torch.testing.assert_close(xcorr_circular(x.roll(**moved), z.roll(**moved)), response)
    torch.testing.assert_close(xcorr_circular(x - 2 * z, -z), 2 * xcorr_circular(z, z) - response)
    torch.testing.assert_close(xcorr_circular(x.flip(0), z.flip(0)), response.flip(0))


@pytest.mark.parametrize("size", [(4, 3), (3, 4)])
@pytest.mark.parametrize("shared", [False, True])
def test_gradcheck(size, shared):
    x, z = same_size(size, channels=2, shared=shared)
    inputs = x.requires_grad_(), z.requires_grad_()
    assert gradcheck(lambda x, z: xcorr_circular(x, z, scale=0.5), inputs)
    assert gradgradcheck(lambda x, z: xcorr_circular(x, z, scale=0.5) ** 2, inputs)


@pytest.mark.parametrize(
    ("dtype", "worst"),
    [(torch.float16, 1e-3), (torch.bfloat16, 1e-2), (torch.float32, 1e-6), (torch.float64, 1e-14)],
)
def test_dtype(dtype, worst):
    x, z = same_size((20, 17), dtype=dtype)
    response = xcorr_circular(x, z)
    assert response.dtype == dtype
    assert relative(response, by_rolling(x.double(), z.double())) <= worst


def test_dtype_half_is_scaled_before_the_sum():
    x = torch.full((1, 64, 16, 16), 100.0, dtype=torch.float16)
    assert xcorr_circular(x, x).isinf().all()
    scaled = xcorr_circular(x, x, scale=1e-5)
    torch.testing.assert_close(scaled, torch.full_like(scaled, 1638.4), rtol=2e-3, atol=0)


def test_layout():
    x, z = same_size()
    expected = xcorr_circular(x, z)
    last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, z)]
    torch.testing.assert_close(xcorr_circular(*last), expected)
    turned = [tensor.mT.contiguous().mT for tensor in (x, z)]
    torch.testing.assert_close(xcorr_circular(*turned), expected)


@pytest.mark.parametrize(
    ("search", "template", "text"),
    [
        (
            (2, 3, 8, 8),
            (2, 3, 8, 7),
            r"the same size, at least 1x1 \(search \(2, 3, 8, 8\), template \(2, 3, 8, 7",
        ),
        ((2, 3, 0, 8), (2, 3, 0, 8), "the same size"),
        ((2, 3, 8, 8), (2, 4, 8, 8), "equally many channels, got 3 and 4"),
        ((4, 3, 8, 8), (2, 3, 8, 8), "batch must be 1 or that of search, got 2 for 4"),
        ((2, 3, 8, 8), (3, 8, 8), "template must have 4 dimensions, got 3"),
    ],
)
def test_errors(search, template, text):
    with pytest.raises(ValueError, match=f"^xcorr_circular: .*{text}"):
        xcorr_circular(torch.rand(search), torch.rand(template))


def test_errors_types():
    x, z = same_size()
    with pytest.raises(TypeError, match=r"^xcorr_circular: .*one floating dtype"):
        xcorr_circular(x, z.float())


def test_compile():
    torch.compiler.reset()
    compiled = torch.compile(xcorr_circular, fullgraph=True, backend="aot_eager")
    x, z = same_size()
    torch.testing.assert_close(compiled(x, z, scale=0.5), xcorr_circular(x, z, scale=0.5))


def test_export():
    class Net(torch.nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return xcorr_circular(x, z)

    program = torch.export.export(Net(), same_size())
    other = same_size(seed=1)
    torch.testing.assert_close(program.module()(*other), xcorr_circular(*other))
