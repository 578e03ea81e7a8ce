"""Zero-normalised correlation, beside OpenCV's template matching."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import all_methods, pair
from torch import Tensor
from torch.autograd import gradcheck

from siamcorr import xcorr_depthwise, xcorr_normalized


def images(batch=1, channels=3, size=(24, 31), z=(7, 5), dtype=torch.float32, seed=0):
    """Searches of 0..255 and the templates cut out of them at (6, 9)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(batch, channels, *size, generator=generator, dtype=torch.float64) * 255
    return x.to(dtype), x[:, :, 6 : 6 + z[0], 9 : 9 + z[1]].to(dtype)


# reference


@all_methods
@pytest.mark.parametrize(
    ("size", "z"),
    [((24, 31), (7, 5)), ((20, 20), (8, 8)), ((40, 33), (1, 12)), ((64, 50), (31, 33))],
)
def test_reference(method, size, z):
    """TM_CCOEFF_NORMED of each channel, and their sum."""
    x, _ = images(2, 3, size)
    template = torch.rand(2, 3, *z, generator=torch.Generator().manual_seed(1)) * 255
    expected = np.stack(
        [
            [cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED) for a, b in zip(*pair_, strict=True)]
            for pair_ in zip(x.numpy(), template.numpy(), strict=True)
        ]
    )
    expected = torch.from_numpy(expected)
    each = [
        xcorr_normalized(x[:, c : c + 1], template[:, c : c + 1], method=method) for c in range(3)
    ]
    torch.testing.assert_close(torch.cat(each, 1), expected, rtol=0, atol=1e-4)
    response = xcorr_normalized(x, template, method=method)
    torch.testing.assert_close(response, expected.sum(1, keepdim=True), rtol=0, atol=3e-4)


def test_reference_loop():
    """The formula, window by window, in float64."""
    x, z = pair(xcorr_depthwise, size=(8, 7), z=(3, 4))
    response = xcorr_normalized(x, z)
    for i in range(6):
        for j in range(4):
            window = x[:, :, i : i + 3, j : j + 4]
            a = (window - window.mean((2, 3), keepdim=True)).flatten(2)
            b = (z - z.mean((2, 3), keepdim=True)).flatten(2)
            expected = torch.nn.functional.cosine_similarity(a, b, dim=2).sum(1)
            torch.testing.assert_close(response[:, 0, i, j], expected)


def test_reference_shared_template():
    x, _ = images(3)
    _, z = images(1, seed=4)
    together = xcorr_normalized(x, z)
    alone = torch.cat([xcorr_normalized(one[None], z) for one in x])
    torch.testing.assert_close(together, alone)


# known values


@all_methods
def test_known_values_a_copy_is_found(method):
    x, z = images()
    response = xcorr_normalized(x, z, method=method)
    assert divmod(int(response.argmax()), response.shape[3]) == (6, 9)
    assert response.max().item() == pytest.approx(3, abs=1e-4)
    assert xcorr_normalized(x, 255 - z).min().item() == pytest.approx(-3, abs=1e-4)


@all_methods
@pytest.mark.parametrize("value", [0.0, 0.1, 128.0, 255.0])
def test_known_values_flat(method, value):
    """Without a pattern the response is zero, not noise or NaN."""
    x, z = images()
    flat_template = xcorr_normalized(x, torch.full_like(z, value), method=method)
    assert torch.equal(flat_template, torch.zeros_like(flat_template))
    flat_search = xcorr_normalized(torch.full_like(x, value), z, method=method)
    assert torch.equal(flat_search, torch.zeros_like(flat_search))
    x[:, :, :, 15:] = value  # the windows from column 15 on are flat
    response = xcorr_normalized(x, z, method=method)
    assert torch.equal(response[..., 15:], torch.zeros_like(response[..., 15:]))
    assert response.isfinite().all()
    assert (response[..., :15] != 0).all()


# properties


@settings(max_examples=40, deadline=None)
@given(
    brightness=st.floats(-1000, 1000),
    contrast=st.floats(1e-3, 1e3),
    of_template=st.booleans(),
    seed=st.integers(0, 99),
)
def test_properties_brightness_and_contrast(brightness, contrast, of_template, seed):
    x, z = (tensor / 255 for tensor in images(seed=seed, dtype=torch.float64))
    response = xcorr_normalized(x, z)
    other = x, z
    if of_template:
        other = x, z * contrast + brightness * contrast
    else:
        other = x * contrast + brightness * contrast, z
    torch.testing.assert_close(xcorr_normalized(*other), response, rtol=0, atol=1e-6)
    assert (response.abs() <= 3 + 1e-9).all()


@pytest.mark.parametrize("contrast", [1e-8, 1e-4, 1e4])
def test_properties_faint_and_strong_patterns(contrast):
    """A pattern is a pattern, however small its numbers are."""
    x, z = images()
    response = xcorr_normalized(x, z)
    torch.testing.assert_close(xcorr_normalized(x, z * contrast), response, rtol=0, atol=1e-4)
    torch.testing.assert_close(xcorr_normalized(x * contrast, z), response, rtol=0, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    h=st.integers(1, 6), w=st.integers(1, 6), channels=st.integers(1, 3), seed=st.integers(0, 99)
)
def test_properties_range(h, w, channels, seed):
    x, _ = images(2, channels, (9, 8), seed=seed)
    z = torch.rand(2, channels, h, w, generator=torch.Generator().manual_seed(seed))
    response = xcorr_normalized(x, z)
    assert response.shape == (2, 1, 10 - h, 9 - w)
    assert (response.abs() <= channels * (1 + 1e-4)).all()
    order = torch.tensor([1, 0])
    torch.testing.assert_close(xcorr_normalized(x[order], z[order]), response[order])


# gradcheck


@all_methods
def test_gradcheck(method):
    x, z = pair(xcorr_depthwise, size=(6, 5), z=(3, 2), channels=2)
    inputs = x.requires_grad_(), z.requires_grad_()
    assert gradcheck(lambda x, z: xcorr_normalized(x, z, method=method), inputs)


@all_methods
@pytest.mark.parametrize("flat", ["search", "template", "windows"])
def test_gradcheck_flat(method, flat):
    """Without a pattern there is no gradient, and no NaN."""
    x, z = images()
    if flat == "search":
        x = torch.full_like(x, 7)
    elif flat == "template":
        z = torch.full_like(z, 7)
    else:
        x[:, :, 10:] = 7
    x, z = x.clone().requires_grad_(), z.clone().requires_grad_()
    xcorr_normalized(x, z, method=method).square().sum().backward()
    for tensor in (x, z):
        assert tensor.grad.isfinite().all()
        assert (tensor.grad.abs().sum() > 0) == (flat == "windows")


# dtype


@all_methods
@pytest.mark.parametrize(
    ("dtype", "worst"),
    [(torch.float16, 0.02), (torch.bfloat16, 0.05), (torch.float32, 1e-4), (torch.float64, 1e-10)],
)
def test_dtype(method, dtype, worst):
    """Images of 0..255, whose products half precision could not hold."""
    x, z = images(size=(40, 40), z=(16, 16), dtype=dtype)
    response = xcorr_normalized(x, z, method=method)
    assert response.dtype == dtype
    exact = xcorr_normalized(x.double(), z.double(), method="conv")
    torch.testing.assert_close(response.double(), exact, rtol=0, atol=worst)


# layout


def test_layout():
    x, z = images(2)
    expected = xcorr_normalized(x, z)
    for tensor in (x.contiguous(memory_format=torch.channels_last), x.mT.contiguous().mT):
        assert not tensor.is_contiguous()
        torch.testing.assert_close(xcorr_normalized(tensor, z), expected)
    shared = z[:1].expand(2, -1, -1, -1)
    torch.testing.assert_close(xcorr_normalized(x, shared), xcorr_normalized(x, z[:1]))
    assert xcorr_normalized(x[:0], z[:1]).shape == (0, 1, 18, 27)


# errors


@pytest.mark.parametrize(
    ("search", "template", "text"),
    [
        ((2, 3, 8, 8), (2, 3, 9, 4), "must lie inside the padded search, got 9x4 in 8x8"),
        ((2, 3, 8, 8), (2, 4, 4, 4), "equally many channels, got 3 and 4"),
        ((4, 3, 8, 8), (2, 3, 4, 4), "batch must be 1 or that of search, got 2 for 4"),
        ((3, 8, 8), (2, 3, 4, 4), "search must have 4 dimensions, got 3"),
    ],
)
def test_errors(search, template, text):
    with pytest.raises(ValueError, match=f"^xcorr_normalized: .*{text}"):
        xcorr_normalized(torch.rand(search), torch.rand(template))


def test_errors_types():
    x, z = images()
    with pytest.raises(TypeError, match=r"^xcorr_normalized: .*one floating dtype"):
        xcorr_normalized(x, z.double())
    with pytest.raises(ValueError, match=r"method must be one of .*'direct'"):
        xcorr_normalized(x, z, method="direct")


# compile, export


@all_methods
def test_compile(method):
    torch.compiler.reset()
    compiled = torch.compile(xcorr_normalized, fullgraph=True, backend="aot_eager")
    x, z = images()
    torch.testing.assert_close(compiled(x, z, method=method), xcorr_normalized(x, z, method=method))


@all_methods
def test_export(method):
    class Net(torch.nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return xcorr_normalized(x, z, method=method)

    program = torch.export.export(Net(), images())
    other = images(seed=1)
    torch.testing.assert_close(program.module()(*other), xcorr_normalized(*other, method=method))


# brightness and contrast


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("factor", "offset"), [(1, 6e4), (1e20, 0), (1e-25, 0), (-3, 7)])
def test_invariant_to_offset_and_scale(dtype, factor, offset):
    """A match is a match also where the pattern is one in sixty thousand, or far from 1."""
    steps = torch.rand(1, 2, 40, 40, generator=torch.Generator().manual_seed(0)) < 0.2
    image = steps.to(dtype) * factor + offset
    response = xcorr_normalized(image, image[:, :, 5:13, 6:14])
    assert float(response[0, 0, 5, 6]) == pytest.approx(2, abs=1e-5)
    torch.testing.assert_close(
        response, xcorr_normalized(steps.to(dtype), steps.to(dtype)[:, :, 5:13, 6:14])
    )


@pytest.mark.parametrize(
    ("size", "value"), [(7, 0.1), (7, 123.456), (64, 0.1), (64, 1000.1), (200, 1000.1)]
)
def test_flat_windows_beside_a_pattern(size, value):
    image = torch.full((1, 1, 2 * size, 2 * size), value)
    image[..., size:, size:] = torch.rand(size, size, generator=torch.Generator().manual_seed(1))
    response = xcorr_normalized(image, image[..., size:, size:])
    assert float(response[0, 0, 0, 0]) == 0
    assert float(response[0, 0, size, size]) == pytest.approx(1, abs=1e-4)


def test_no_search_gives_no_response_and_no_warning():
    x = torch.rand(0, 2, 6, 6)
    for batch in (0, 1):
        assert xcorr_normalized(x, torch.rand(batch, 2, 3, 3)).shape == (0, 1, 4, 4)


def test_an_unknown_method_is_refused_by_name():
    x = torch.rand(1, 2, 6, 6)
    with pytest.raises(ValueError, match=r"^xcorr_normalized: method must be one of"):
        xcorr_normalized(x, x[:, :, :3, :3], method="fast")
