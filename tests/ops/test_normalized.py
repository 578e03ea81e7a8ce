"""Zero-normalised correlation, against OpenCV's template matching."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from siamcorr import xcorr_normalized


def images(batch: int = 2, channels: int = 3, size=(24, 20), z=(7, 5), dtype=torch.float32):
    """Searches like photographs, 0..255, and templates cut out of them."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, size=(batch * channels, 6, 6)).astype(np.float32)
    grown = np.stack([cv2.resize(plane, size[::-1]) for plane in coarse])
    x = torch.from_numpy(grown + rng.normal(0, 3, grown.shape).astype(np.float32))
    x = x.reshape(batch, channels, *size).to(dtype)
    return x, x[:, :, 4 : 4 + z[0], 6 : 6 + z[1]].clone()


def by_opencv(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    responses = [
        sum(
            cv2.matchTemplate(a.numpy(), b.numpy(), cv2.TM_CCOEFF_NORMED)
            for a, b in zip(search, template, strict=True)
        )
        for search, template in zip(x, z.expand(len(x), -1, -1, -1), strict=True)
    ]
    return torch.from_numpy(np.stack(responses))[:, None]


@pytest.mark.parametrize("z", [(7, 5), (6, 6), (3, 2), (24, 20)])
@pytest.mark.parametrize("method", ["conv", "gemm", "fft", "auto"])
def test_reference(z, method):
    x, template = images(z=(7, 5))
    if z != (7, 5):
        template = x[:, :, : z[0], : z[1]].clone()
    response = xcorr_normalized(x, template, method=method)
    exact = xcorr_normalized(x.double(), template.double())
    torch.testing.assert_close(response.double(), exact, rtol=0, atol=1e-5)
    # OpenCV sums in float32: over windows of few cells it is the one that is off.
    torch.testing.assert_close(response, by_opencv(x, template), rtol=0, atol=1e-3)


def test_reference_shared_template():
    x, z = images()
    torch.testing.assert_close(xcorr_normalized(x, z[:1]), by_opencv(x, z[:1]), rtol=0, atol=3e-4)


def test_known_values_peak_is_one_for_each_channel():
    x, z = images()
    response = xcorr_normalized(x, z)
    for b in range(2):
        assert divmod(int(response[b].argmax()), 16) == (4, 6)
        assert response[b].max() == pytest.approx(3, abs=1e-3)


def test_known_values_flat_is_zero():
    """A window, or a template, without pattern has nothing to correlate: 0, and never NaN."""
    x, z = images()
    x[:, :, :10, :10] = 131.7
    response = xcorr_normalized(x, z)
    assert torch.equal(response[:, :, :4, :6], torch.zeros(2, 1, 4, 6))
    assert response.isfinite().all()
    assert torch.equal(xcorr_normalized(x, torch.full_like(z, 55.5)), torch.zeros_like(response))


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.1, 10), offset=st.floats(-100, 100))
def test_properties(gain, offset):
    """Neither brightness nor contrast of either side counts, and the result is bounded."""
    x, z = images()
    response = xcorr_normalized(x, z)
    assert response.abs().max() <= 3 + 1e-3
    torch.testing.assert_close(xcorr_normalized(gain * x + offset, z), response, rtol=0, atol=1e-3)
    torch.testing.assert_close(xcorr_normalized(x, gain * z + offset), response, rtol=0, atol=1e-3)
    torch.testing.assert_close(xcorr_normalized(-x, z), -response, rtol=0, atol=1e-3)


def test_gradcheck():
    x, z = (tensor.requires_grad_() for tensor in images(1, 2, (9, 10), (3, 2), torch.float64))
    with torch.no_grad():
        x /= 100
        z /= 100
    assert gradcheck(xcorr_normalized, (x, z))


def test_gradients_are_finite_beside_flat_windows():
    x, z = images()
    x[:, :, :10, :10] = 7
    x, z = x.requires_grad_(), z.requires_grad_()
    xcorr_normalized(x, z).sum().backward()
    assert x.grad.isfinite().all()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype(dtype):
    x, z = images()
    response = xcorr_normalized((x / 255).to(dtype), (z / 255).to(dtype))
    assert response.dtype == dtype
    torch.testing.assert_close(response.float(), xcorr_normalized(x, z), rtol=0, atol=0.15)


def test_errors():
    x, z = images()
    with pytest.raises(ValueError, match="xcorr_normalized: the template must lie inside"):
        xcorr_normalized(z, x)
    with pytest.raises(ValueError, match="as many channels, got 3 and 2"):
        xcorr_normalized(x, z[:, :2])
    with pytest.raises(ValueError, match="batch must be 1 or that of search"):
        xcorr_normalized(torch.cat([x, x[:1]]), z)


def test_compile():
    x, z = images()
    compiled = torch.compile(xcorr_normalized, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, z), xcorr_normalized(x, z))
