"""Several templates of one target, against single correlations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import all_methods, pair
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from siamcorr import xcorr_batched
from siamcorr.ops import xcorr_multi

REDUCE = {
    "none": lambda stacked: stacked,
    "mean": lambda stacked: stacked.mean(1, keepdim=True),
    "max": lambda stacked: stacked.amax(1, keepdim=True),
}
all_reductions = pytest.mark.parametrize("reduction", REDUCE)


def memory(count=4, batch=2, shared=False, dtype=torch.float64, **options):
    """A search and count templates for it, (B or 1, K, C, h, w)."""
    x, z = pair(xcorr_batched, batch, count, dtype, shared=shared, **options)
    return x, z.unflatten(1, (count, -1))


def stacked(x: Tensor, templates: Tensor, **options) -> Tensor:
    """One correlation for each template: (B, K, H', W')."""
    each = [xcorr_batched(x, templates[:, k], **options) for k in range(templates.shape[1])]
    return torch.cat(each, dim=1)


@all_reductions
@all_methods
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("shared", [False, True])
def test_reference(reduction, method, count, shared):
    x, templates = memory(count, shared=shared)
    for options in ({}, {"padding": "same", "scale": 0.5}, {"dilation": 2, "padding": 1}):
        response = xcorr_multi(x, templates, reduction=reduction, method=method, **options)
        expected = REDUCE[reduction](stacked(x, templates, method="conv", **options))
        torch.testing.assert_close(response, expected)


def test_known_values():
    x = torch.ones(1, 2, 1, 1)
    templates = torch.tensor([1.0, 2, 10, 20, -4, 1]).reshape(1, 3, 2, 1, 1)
    assert xcorr_multi(x, templates, reduction="none").flatten().tolist() == [3, 30, -3]
    assert xcorr_multi(x, templates, reduction="max").item() == 30
    assert xcorr_multi(x, templates).item() == 10  # the mean is the default


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 5), batch=st.integers(1, 3), seed=st.integers(0, 99))
def test_properties(count, batch, seed):
    """The order of the templates does not matter, and the largest is no less than the mean."""
    x, templates = memory(count, batch, seed=seed)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    for reduction in ("mean", "max"):
        response = xcorr_multi(x, templates, reduction=reduction)
        shuffled = xcorr_multi(x, templates[:, order], reduction=reduction)
        torch.testing.assert_close(shuffled, response)
    mean = xcorr_multi(x, templates)
    assert (xcorr_multi(x, templates, reduction="max") >= mean - 1e-12).all()


@all_reductions
@all_methods
def test_gradcheck(reduction, method):
    shared = reduction == "max"  # one template for all, in one of the reductions
    inputs = [t.requires_grad_() for t in memory(3, shared=shared, size=(4, 3), channels=2)]
    call = lambda x, z: xcorr_multi(x, z, reduction=reduction, method=method)  # noqa: E731
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@all_reductions
@pytest.mark.parametrize(
    ("dtype", "worst"), [(torch.float16, 0.02), (torch.bfloat16, 0.15), (torch.float32, 1e-5)]
)
def test_dtype(reduction, dtype, worst):
    x, templates = memory(dtype=dtype)
    response = xcorr_multi(x, templates, reduction=reduction)
    assert response.dtype == dtype
    exact = REDUCE[reduction](stacked(x.double(), templates.double()))
    torch.testing.assert_close(response.double(), exact, rtol=0, atol=worst)


@all_reductions
def test_layout(reduction):
    x, templates = memory()
    expected = xcorr_multi(x, templates, reduction=reduction)
    last = x.contiguous(memory_format=torch.channels_last)
    turned = templates.movedim(1, -1).contiguous().movedim(-1, 1)
    assert not turned.is_contiguous()
    torch.testing.assert_close(xcorr_multi(last, turned, reduction=reduction), expected)
    shared = templates[:1].expand(2, -1, -1, -1, -1)
    torch.testing.assert_close(
        xcorr_multi(x, shared, reduction=reduction),
        xcorr_multi(x, templates[:1], reduction=reduction),
    )


@pytest.mark.parametrize(
    ("templates", "options", "text"),
    [
        ((2, 3, 4, 4), {}, r"must be \(B, K, C, h, w\) with K >= 1, got \(2, 3, 4, 4\)"),
        ((2, 0, 3, 4, 4), {}, r"K >= 1, got \(2, 0, 3, 4, 4\) for search \(2, 3, 8, 8\)"),
        ((2, 5, 3, 4, 4), {"reduction": "sum"}, "reduction must be .*got 'sum'"),
    ],
)
def test_errors(templates, options, text):
    with pytest.raises(ValueError, match=f"^xcorr_multi: .*{text}"):
        xcorr_multi(torch.rand(2, 3, 8, 8), torch.rand(templates), **options)


@all_reductions
def test_errors_of_the_correlation(reduction):
    """All that xcorr_batched refuses; each template must have C channels."""
    x = torch.rand(2, 3, 8, 8)
    for shape in [(2, 5, 4, 4, 4), (2, 3, 2, 4, 4), (2, 2, 6, 4, 4)]:
        with pytest.raises(ValueError, match=f"^xcorr_multi: .*channels, got 3 and {shape[2]}"):
            xcorr_multi(x, torch.rand(shape), reduction=reduction)
    with pytest.raises(ValueError, match=r"got 3 for 2 .*\(3, 5, 3, 4, 4\)"):
        xcorr_multi(x, torch.rand(3, 5, 3, 4, 4), reduction=reduction)
    with pytest.raises(TypeError, match="one floating dtype"):
        xcorr_multi(x, torch.rand(2, 5, 3, 4, 4).double(), reduction=reduction)
    with pytest.raises(TypeError, match=r"one floating dtype, got torch.int64"):
        xcorr_multi(x.long(), torch.ones(2, 5, 3, 4, 4).long(), reduction=reduction)
    with pytest.raises(TypeError, match=r"^xcorr_multi: templates must be .*, got list"):
        xcorr_multi(x, [torch.rand(2, 3, 4, 4)], reduction=reduction)
    with pytest.raises(TypeError, match=r"^xcorr_multi: search must be .*, got ndarray"):
        xcorr_multi(x.numpy(), torch.rand(2, 5, 3, 4, 4), reduction=reduction)


@all_reductions
def test_compile(reduction):
    torch.compiler.reset()
    compiled = torch.compile(xcorr_multi, fullgraph=True, backend="aot_eager")
    x, templates = memory()
    expected = xcorr_multi(x, templates, reduction=reduction)
    torch.testing.assert_close(compiled(x, templates, reduction=reduction), expected)


def test_export():
    class Net(torch.nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return xcorr_multi(x, z, reduction="max")

    program = torch.export.export(Net(), memory())
    other = memory(seed=1)
    torch.testing.assert_close(program.module()(*other), xcorr_multi(*other, reduction="max"))
