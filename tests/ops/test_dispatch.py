"""Calls are checked once per signature; wrong calls fail every time."""

import pytest
import torch

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive
from siamcorr.ops import checks

all_ops = pytest.mark.parametrize("op", [xcorr_naive, xcorr_batched, xcorr_depthwise])


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(checks, "_signatures", {})


@all_ops
def test_a_second_call_is_not_checked_again_and_gives_the_same(op, monkeypatch):
    x, z = torch.rand(2, 3, 9, 8), torch.rand(2, 3, 3, 2)
    first = op(x, z, padding="same", scale=0.5)

    def unexpected(*_):
        raise AssertionError("checked again")

    monkeypatch.setattr(checks, "_check", unexpected)
    assert torch.equal(op(x, z, padding="same", scale=0.5), first)
    torch.testing.assert_close(op(x, z, padding="same", scale=1.0), 2 * first)
    with pytest.raises(AssertionError, match="checked again"):
        op(x, z, padding="valid")


@all_ops
def test_wrong_calls_are_not_cached(op):
    x, z = torch.rand(2, 3, 9, 8), torch.rand(2, 3, 3, 2)
    op(x, z)
    for wrong in ({"padding": 1.0}, {"padding": [1, 1]}, {"dilation": 1.0}, {"method": "fftt"}):
        for _ in range(2):
            with pytest.raises(ValueError, match="must be"):
                op(x, z, **wrong)
    for _ in range(2):
        with pytest.raises(TypeError, match="one floating dtype"):
            op(x, z.double())
        with pytest.raises(TypeError, match=r"must be a torch\.Tensor, got ndarray"):
            op(x.numpy(), z.numpy())
        with pytest.raises(ValueError, match="channels"):
            op(x, z[:, :2])


@all_ops
def test_gradients_and_autocast_with_a_cached_call(op):
    x, z = torch.rand(2, 3, 9, 8), torch.rand(2, 3, 3, 2)
    plain = op(x, z)
    assert not plain.requires_grad
    assert op(x.requires_grad_(), z).requires_grad
    with torch.no_grad():
        assert not op(x, z).requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(op(x.detach(), z), plain)


@all_ops
def test_the_cache_is_bounded(op, monkeypatch):
    monkeypatch.setattr(checks, "SIGNATURES", 3)
    for size in range(4, 12):
        op(torch.rand(1, 1, size, 5), torch.rand(1, 1, 2, 2))
        assert len(checks._signatures) <= 3
