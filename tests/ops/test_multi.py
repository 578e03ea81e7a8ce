"""K templates for each search: the stated reductions, and their gradients."""

import pytest
import torch
from torch.autograd import gradcheck

from siamcorr import xcorr_batched
from siamcorr.ops import xcorr_multi


def pair(batch: int = 2, own: bool = True):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 3, 7, 6, generator=generator, dtype=torch.float64)
    z = torch.randn(batch if own else 1, 4, 3, 3, 2, generator=generator, dtype=torch.float64)
    return x, z


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("reduction", ["none", "mean", "max"])
def test_reference(own, reduction):
    x, z = pair(own=own)
    each = torch.cat([xcorr_batched(x, z[:, k]) for k in range(4)], dim=1)  # (B, K, H', W')
    expected = {
        "none": each,
        "mean": each.mean(dim=1, keepdim=True),
        "max": each.max(dim=1, keepdim=True).values,
    }[reduction]
    torch.testing.assert_close(xcorr_multi(x, z, reduction=reduction), expected)


def test_options_reach_the_correlation():
    x, z = pair()
    options = {"padding": "same", "dilation": 2, "scale": 0.5, "method": "fft"}
    expected = xcorr_batched(x, z.mean(dim=1), **options)
    torch.testing.assert_close(xcorr_multi(x, z, **options), expected)


@pytest.mark.parametrize("reduction", ["none", "mean", "max"])
def test_gradcheck(reduction):
    inputs = [tensor.requires_grad_() for tensor in pair()]
    assert gradcheck(lambda x, z: xcorr_multi(x, z, reduction=reduction), inputs)


def test_errors():
    x, z = pair()
    with pytest.raises(ValueError, match=r"reduction must be .*got 'sum'"):
        xcorr_multi(x, z, reduction="sum")
    with pytest.raises(ValueError, match=r"\(B, K, C, h, w\) with K >= 1, got \(2, 4, 3, 3\)"):
        xcorr_multi(x, z[:, :, :, :, 0])
    with pytest.raises(ValueError, match="K >= 1"):
        xcorr_multi(x, z[:, :0])
    with pytest.raises(TypeError, match="templates must be a Tensor, got list"):
        xcorr_multi(x, [z])
    with pytest.raises(ValueError, match="batch must be 1 or that of search, got 2 for 3"):
        xcorr_multi(torch.cat([x, x[:1]]), z)
