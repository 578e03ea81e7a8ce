"""A prepared template gives the same response, and refuses searches that it does not fit."""

import pytest
import torch
from pairs import all_methods, all_ops, pair, relative
from torch.autograd import gradcheck, gradgradcheck

from siamcorr import prepare, xcorr_batched, xcorr_depthwise, xcorr_naive
from siamcorr.ops import PreparedTemplate


def name_of(op) -> str:
    return op.__name__.removeprefix("xcorr_")


# reference


@all_ops
@all_methods
@pytest.mark.parametrize("padding", ["valid", "same", 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("outputs", [1, 3])
def test_reference(op, method, padding, dilation, outputs):
    for shared in (False, True):
        x, z = pair(op, outputs=outputs, shared=shared)
        for scale in (1.0, 0.25):
            options = {"padding": padding, "dilation": dilation, "scale": scale, "method": method}
            ready = prepare(z, (7, 6), channels=3, op=name_of(op), **options)
            torch.testing.assert_close(op(x, ready), op(x, z, **options))


@all_ops
@all_methods
def test_reference_many_searches(op, method):
    """Shared templates serve batches of any size, repeatedly."""
    _, z = pair(op, outputs=2, shared=True)
    ready = prepare(z, (7, 6), channels=3, op=name_of(op), method=method)
    for batch in (1, 4, 0, 2):
        x, _ = pair(op, batch, seed=batch)
        torch.testing.assert_close(op(x, ready), op(x, z, method="conv"))


def test_reference_method():
    """The method is fixed, and only fft has a spectrum."""
    z = torch.rand(1, 4, 3, 3)
    for method in ("conv", "gemm", "fft", "native"):
        ready = prepare(z, (8, 8), method=method)
        assert isinstance(ready, PreparedTemplate)
        assert ready.method == method
        assert (ready.spectrum is not None) == (method == "fft")
    assert prepare(z, (8, 8)).method in ("conv", "gemm", "fft", "native")
    assert prepare(torch.rand(1, 8, 127, 127), (255, 255)).method == "fft"


@all_ops
@all_methods
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_later_changes_of_the_template_do_not_matter(op, method, scale):
    x, z = pair(op)
    expected = op(x, z, scale=scale)
    ready = prepare(z, (7, 6), op=name_of(op), scale=scale, method=method)
    z.zero_()
    torch.testing.assert_close(op(x, ready), expected)


# gradcheck


@all_ops
@all_methods
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_gradcheck(op, method, padding):
    """Gradients flow into search, at every order, and none into the template."""
    x, z = pair(op, outputs=2, channels=2, size=(4, 3), z=(2, 2))
    z.requires_grad_()
    options = {"padding": padding, "scale": 0.5, "method": method}
    ready = prepare(z, (4, 3), channels=2, op=name_of(op), **options)
    assert not op(x, ready).requires_grad
    x.requires_grad_()
    assert gradcheck(lambda x: op(x, ready), x)
    assert gradgradcheck(lambda x: op(x, ready) ** 2, x)
    (found,) = torch.autograd.grad(op(x, ready).square().sum(), x)
    (expected,) = torch.autograd.grad(op(x, z, **options).square().sum(), x)
    torch.testing.assert_close(found, expected)
    op(x, ready).sum().backward()
    assert z.grad is None


# dtype


@all_ops
@all_methods
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype(op, method, dtype):
    x, z = pair(op, outputs=2, dtype=dtype)
    response = op(x, prepare(z, (7, 6), channels=3, op=name_of(op), method=method))
    assert response.dtype == dtype
    worst = {torch.float16: 4e-3, torch.bfloat16: 4e-2, torch.float32: 1e-5}[dtype]
    assert relative(response, op(x.double(), z.double())) <= worst


@all_methods
def test_dtype_half_does_not_overflow_with_scale(method):
    x = torch.full((1, 8, 16, 16), 100.0, dtype=torch.float16)
    z = torch.full((1, 8, 8, 8), 100.0, dtype=torch.float16)
    assert xcorr_batched(x, prepare(z, (16, 16), op="batched", method=method)).isinf().all()
    ready = prepare(z, (16, 16), op="batched", scale=1e-3, method=method)
    assert xcorr_batched(x, ready).isfinite().all()


# layout


@all_ops
@all_methods
def test_layout(op, method):
    x, z = pair(op, channels=4)
    expected = op(x, z)
    for template in (z.contiguous(memory_format=torch.channels_last), z.mT.contiguous().mT):
        ready = prepare(template, (7, 6), op=name_of(op), method=method)
        torch.testing.assert_close(op(x, ready), expected)
        last = x.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(op(last, ready), expected)


# errors


@pytest.mark.parametrize(
    ("template", "options", "text"),
    [
        ((1, 3, 9, 9), {}, "must lie inside the padded search, got 9x9 in 8x8"),
        ((1, 3, 3, 3), {"dilation": 4}, "got 9x9 in 8x8"),
        ((1, 3, 3, 3), {"dilation": 0}, "dilation must be an int >= 1, got 0"),
        ((1, 3, 3, 3), {"padding": "full"}, "padding must be an int >= 0.*'full'"),
        ((1, 3, 3, 3), {"method": "direct"}, "method must be one of .*'direct'"),
        ((1, 3, 3, 3), {"op": "xcorr_naive"}, "op must be .*'xcorr_naive'"),
        ((1, 3, 3, 3), {"op": "pixelwise"}, "op must be .*'pixelwise'"),
        ((1, 4, 3, 3), {"op": "batched", "channels": 3}, r"3 channels do not fit .*\(1, 4, 3, 3\)"),
        ((1, 6, 3, 3), {"channels": 3}, r"3 channels do not fit the template \(1, 6, 3, 3\)"),
        ((2, 6, 3, 3), {"op": "naive", "channels": 3}, "3 channels do not fit"),
        ((1, 0, 3, 3), {}, r"0 channels do not fit the template \(1, 0, 3, 3\)"),
        ((1, 3, 3, 3), {"channels": 0}, "0 channels do not fit"),
        ((1, 3, 3, 3), {"channels": -3}, "-3 channels do not fit"),
        ((3, 3, 3), {}, r"must have 4 dimensions, got 3 .*\(3, 3, 3\)"),
    ],
)
def test_errors(template, options, text):
    with pytest.raises(ValueError, match=f"^prepare: .*{text}"):
        prepare(torch.rand(template), (8, 8), **options)


@pytest.mark.parametrize("size", [(8,), (8, 0), (-9, 9), (8, 8.0), "88"])
def test_errors_search_size(size):
    with pytest.raises(ValueError, match=r"^prepare: search_size must be two ints >= 1, got "):
        prepare(torch.rand(1, 3, 3, 3), size)


def test_prepared_templates_are_the_same_or_not():
    """By identity: their tensors cannot be compared at once."""
    one, other = (prepare(torch.rand(1, 3, 3, 3), (8, 8)) for _ in range(2))
    assert one == one != other
    assert other in [one, other]
    assert len({one, other}) == 2


def test_errors_types():
    for wrong, text in [(3, "got int"), (torch.ones(1, 3, 3, 3).long(), "got torch.int64")]:
        with pytest.raises(TypeError, match=f"^prepare: .*{text}"):
            prepare(wrong, (8, 8))


@pytest.mark.parametrize("method", ["conv", "gemm", "fft"])
@pytest.mark.parametrize(
    ("op", "search", "error", "text"),
    [
        (xcorr_depthwise, (2, 3, 8, 9), ValueError, r"\(B, 3, 8, 8\), got search \(2, 3, 8, 9\)"),
        (xcorr_depthwise, (2, 4, 8, 8), ValueError, r"\(B, 3, 8, 8\), got search \(2, 4, 8, 8\)"),
        (xcorr_depthwise, (4, 3, 8, 8), ValueError, "2 templates were prepared, got 4 searches"),
        (xcorr_depthwise, (1, 3, 8, 8), ValueError, "2 templates were prepared, got 1 searches"),
        (xcorr_depthwise, (3, 8, 8), ValueError, "search must have 4 dimensions, got 3"),
        (xcorr_naive, (2, 3, 8, 8), ValueError, "was prepared for xcorr_depthwise on searches"),
        (xcorr_batched, (2, 3, 8, 8), ValueError, "was prepared for xcorr_depthwise on searches"),
    ],
)
def test_errors_of_the_operator(method, op, search, error, text):
    ready = prepare(torch.rand(2, 3, 3, 3), (8, 8), method=method)
    with pytest.raises(error, match=f"^{op.__name__}: .*{text}"):
        op(torch.rand(search), ready)


@all_ops
def test_errors_dtype_and_options(op):
    x, z = pair(op, dtype=torch.float32)
    ready = prepare(z, (7, 6), op=name_of(op))
    with pytest.raises(TypeError, match=r"got torch\.float64 and torch\.float32"):
        op(x.double(), ready)
    for option in ({"padding": "same"}, {"dilation": 2}, {"scale": 0.5}, {"method": "conv"}):
        with pytest.raises(ValueError, match="includes its options"):
            op(x, ready, **option)


# compile


@all_ops
@all_methods
def test_compile(op, method):
    torch.compiler.reset()
    x, z = pair(op, outputs=2)
    ready = prepare(z, (7, 6), channels=3, op=name_of(op), method=method)
    compiled = torch.compile(lambda x: op(x, ready), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), op(x, ready))
    x.requires_grad_()
    (found,) = torch.autograd.grad(compiled(x).square().sum(), x)
    (expected,) = torch.autograd.grad(op(x, ready).square().sum(), x)
    torch.testing.assert_close(found, expected)
