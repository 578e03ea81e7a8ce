"""naive, batched and depthwise by every method: one table of tests for all."""

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import ORACLES, all_methods, all_ops, pair, relative

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive

# reference


@all_ops
@all_methods
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(
    ("batch", "outputs", "shared"),
    [
        (1, 1, False),
        (1, 2, False),
        (3, 1, False),
        (3, 2, False),
        (3, 1, True),
        (3, 2, True),
    ],
)
def test_reference(op, method, dilation, batch, outputs, shared):
    x, z = pair(op, batch, outputs, shared=shared)
    expected = ORACLES[op](x, reference.dilated(z, dilation))
    torch.testing.assert_close(op(x, z, dilation=dilation, method=method), expected)


@all_ops
@all_methods
@pytest.mark.parametrize("padding", ["valid", "same", 0, 1, 3])
def test_reference_padding(op, method, padding):
    sizes = [((3, 3), 1), ((2, 4), 1), ((1, 1), 1), ((4, 3), 1), ((2, 3), 2)]
    for (h, w), dilation in sizes:
        x, z = pair(op, z=(h, w))
        wide = reference.dilated(z, dilation)
        h, w = wide.shape[2:]
        sides = (0 if padding == "valid" else padding,) * 4
        if padding == "same":
            sides = ((w - 1) // 2, w // 2, (h - 1) // 2, h // 2)
        response = op(x, z, padding=padding, dilation=dilation, method=method)
        expected = ORACLES[op](torch.nn.functional.pad(x, sides), wide)
        torch.testing.assert_close(response, expected)
        if padding == "same":
            assert response.shape[2:] == x.shape[2:]


@all_ops
@all_methods
def test_reference_scale(op, method):
    x, z = pair(op)
    torch.testing.assert_close(op(x, z, scale=0.25, method=method), ORACLES[op](x, z) * 0.25)


@all_ops
@all_methods
@pytest.mark.parametrize("shared", [False, True])
def test_reference_empty_batch(op, method, shared):
    """No search: no response, but gradients of the right shapes, which are zero."""
    x, z = (tensor.requires_grad_() for tensor in pair(op, batch=0, shared=shared))
    response = op(x, z, method=method)
    assert response.shape == (0, 3 if op is xcorr_depthwise else 1, 5, 5)
    response.sum().backward()
    assert x.grad.shape == x.shape
    assert torch.equal(z.grad, torch.zeros_like(z))


@all_ops
@all_methods
@pytest.mark.parametrize("side", [2, 3])
def test_a_search_without_cells_is_all_padding(op, method, side):
    x, z = pair(op, z=(2, 2))
    x = x.narrow(side, 0, 0)
    response = op(x, z, padding=4, method=method)
    assert response.shape[side] == 7
    assert not response.any()


@all_ops
@pytest.mark.parametrize("scale", [None, "2", [2.0]])
def test_a_scale_that_is_no_number(op, scale):
    with pytest.raises(TypeError, match=rf"^{op.__name__}: scale must be a number, got"):
        op(*pair(op), scale=scale)


@all_ops
def test_scales_of_other_types(op):
    """Python and NumPy numbers and parameters are accepted; lists and huge numbers are not."""
    x, z = pair(op)
    expected = 2 * op(x, z)
    for scale in (
        2,
        np.float32(2),
        np.int64(2),
        torch.tensor(2.0),
        torch.nn.Parameter(z[0, 0, 0, 0]),
    ):
        factor = scale.item() / 2 if isinstance(scale, torch.Tensor) else 1
        torch.testing.assert_close(op(x, z, scale=scale), factor * expected)
    for scale in (10**400, torch.ones(2)):
        with pytest.raises(ValueError, match=rf"^{op.__name__}: scale must be"):
            op(x, z, scale=scale)


@all_ops
def test_padding_of_a_size_that_nothing_holds(op):
    """At once; the planner once took forever to count its work."""
    for padding in (10**30, 2**31, 40_000):
        with pytest.raises(ValueError, match=rf"^{op.__name__}: padding must leave at most"):
            op(*pair(op), padding=padding)


# known values


@all_ops
@all_methods
def test_known_values_impulse(op, method):
    """An impulse returns the template rotated by 180 degrees; a flipped kernel would not."""
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    z = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    expected = torch.tensor([[9.0, 8, 7], [6, 5, 4], [3, 2, 1]])
    torch.testing.assert_close(op(x, z, method=method)[0, 0], expected)


@pytest.mark.parametrize(
    ("op", "search", "template", "response"),
    [
        (xcorr_naive, (1, 4, 255, 255), (1, 4, 127, 127), (1, 1, 129, 129)),
        (xcorr_batched, (8, 1, 255, 255), (8, 1, 127, 127), (8, 1, 129, 129)),
        (xcorr_depthwise, (1, 4, 255, 255), (1, 4, 127, 127), (1, 4, 129, 129)),
        (xcorr_depthwise, (8, 2, 255, 255), (8, 2, 127, 127), (8, 2, 129, 129)),
        (xcorr_batched, (3, 8, 22, 22), (1, 8, 6, 6), (3, 1, 17, 17)),
        (xcorr_batched, (2, 8, 20, 20), (2, 8 * 10, 4, 4), (2, 10, 17, 17)),
        (xcorr_depthwise, (2, 8, 31, 31), (2, 8, 7, 7), (2, 8, 25, 25)),
    ],
)
def test_known_values_shapes(op, search, template, response):
    """The usual worked example, with few channels, and the shapes of known trackers."""
    assert op(torch.rand(search), torch.rand(template)).shape == response
    meta = op(torch.rand(search, device="meta"), torch.rand(template, device="meta"))
    assert meta.shape == response


@all_methods
def test_known_values_pairs(method):
    """Template b belongs to search b, and output o to the o-th block of C channels."""
    x = torch.ones(2, 2, 1, 1)
    z = torch.tensor([[1.0, 2, 10, 20], [3, 4, 30, 40]]).reshape(2, 4, 1, 1)
    assert xcorr_batched(x, z, method=method).flatten(1).tolist() == [[3, 30], [7, 70]]
    assert xcorr_depthwise(x, z[:, :2], method=method).flatten(1).tolist() == [[1, 2], [3, 4]]
    assert xcorr_naive(x, z[:, :2], method=method).flatten(1).tolist() == [[3, 7], [3, 7]]


# properties

sizes = st.integers(1, 4)


@all_ops
@all_methods
@settings(max_examples=15, deadline=None)
@given(h=sizes, w=sizes, more=sizes, channels=sizes, batch=sizes, seed=st.integers(0, 999))
def test_properties(op, method, h, w, more, channels, batch, seed):
    """Linear in both, equivariant to shifts of search, independent of the batch order."""
    make = {"channels": channels, "z": (h, w), "size": (h + more, w + more)}
    x, z = pair(op, batch, seed=seed, **make)
    other, _ = pair(op, batch, seed=seed + 1, **make)

    def by(x, z):
        return op(x, z, method=method)

    response = by(x, z)
    torch.testing.assert_close(by(2 * x - other, z), 2 * response - by(other, z))
    torch.testing.assert_close(by(x, -3 * z), -3 * response)

    moved = torch.roll(x, (1, 1), dims=(2, 3))
    torch.testing.assert_close(by(moved, z)[..., 1:, 1:], response[..., :-1, :-1])

    order = torch.randperm(batch, generator=torch.Generator().manual_seed(seed))
    shuffled = z if op is xcorr_naive else z[order]
    torch.testing.assert_close(by(x[order], shuffled), response[order])


# dtype

WORST = {torch.float16: 4e-3, torch.bfloat16: 4e-2, torch.float32: 1e-5, torch.float64: 1e-13}


@all_ops
@all_methods
@pytest.mark.parametrize("dtype", WORST)
def test_dtype(op, method, dtype):
    x, z = pair(op, outputs=2, dtype=dtype)
    response = op(x, z, method=method)
    assert response.dtype == dtype
    assert relative(response, ORACLES[op](x.double(), z.double())) <= WORST[dtype]


@all_ops
@pytest.mark.parametrize(("method", "worst"), [("conv", 1e-5), ("gemm", 1e-5), ("fft", 1e-4)])
def test_dtype_large_template(op, method, worst):
    x, z = pair(op, 1, channels=2, size=(255, 255), z=(127, 127))
    exact = op(x, z, method="fft")
    assert relative(op(x.float(), z.float(), method=method), exact) <= worst


# layout


@all_ops
@all_methods
def test_layout(op, method):
    x, z = pair(op, batch=2, channels=4)
    expected = op(x, z, method=method)
    wide = torch.randn(2, 4, 7, 12, dtype=x.dtype)
    wide[..., ::2] = x
    last = {"memory_format": torch.channels_last}
    layouts = {
        "channels_last": x.contiguous(**last),
        "strided": wide[..., ::2],
        "transposed": x.transpose(2, 3).contiguous().transpose(2, 3),
    }
    turned = z.transpose(0, 1).contiguous().transpose(0, 1)
    for name, search in layouts.items():
        assert not search.is_contiguous(), name
        for template in (z, turned, z.contiguous(**last)):
            torch.testing.assert_close(op(search, template, method=method), expected, msg=name)
    expanded = x[:1].expand(2, -1, -1, -1)
    same = op(expanded.contiguous(), z, method=method)
    torch.testing.assert_close(op(expanded, z, method=method), same)


# errors


@all_ops
@pytest.mark.parametrize(
    ("search", "template", "text"),
    [
        ((2, 3, 8, 8), (2, 3, 9, 4), r"template must lie inside the padded search, got 9x4 in 8x8"),
        ((2, 3, 8, 8), (2, 3, 0, 4), r"must lie inside .*\(2, 3, 8, 8\).*\(2, 3, 0, 4\)"),
        ((3, 8, 8), (2, 3, 4, 4), r"search must have 4 dimensions, got 3 .*\(2, 3, 4, 4\)"),
        ((2, 3, 8, 8), (3, 4, 4), r"template must have 4 dimensions, got 3"),
        ((2, 3, 8, 8), (2, 4, 4, 4), r"channels.*search \(2, 3, 8, 8\), template \(2, 4, 4, 4\)"),
        ((2, 3, 8, 8), (0, 3, 4, 4), r"template.*template \(0, 3, 4, 4\)"),
    ],
)
def test_errors_shapes(op, search, template, text):
    with pytest.raises(ValueError, match=f"^{op.__name__}: .*{text}"):
        op(torch.rand(search), torch.rand(template))


@pytest.mark.parametrize("op", [xcorr_batched, xcorr_depthwise])
@pytest.mark.parametrize("batch", [0, 2, 3, 4])
def test_errors_pairs_are_never_cyclic(op, batch):
    text = f"template batch must be 1 or that of search, got {batch}"
    with pytest.raises(ValueError, match=text):
        op(torch.rand(6, 3, 8, 8), torch.rand(batch, 3, 4, 4))


@all_ops
def test_errors_types(op):
    x, z = pair(op)
    with pytest.raises(TypeError, match=r"search must be a torch\.Tensor, got ndarray"):
        op(x.numpy(), z)
    with pytest.raises(TypeError, match=r"one floating dtype, got torch.float64 and torch.float32"):
        op(x, z.float())
    with pytest.raises(TypeError, match=r"one floating dtype, got torch.int64"):
        op(x.long(), z.long())
    with pytest.raises(TypeError, match=r"one floating dtype, got torch.float8_e4m3fn"):
        op(x.to(torch.float8_e4m3fn), z.to(torch.float8_e4m3fn))
    with pytest.raises(TypeError, match=r"template must be a torch.Tensor, got NoneType"):
        op(x[0], None)
    with pytest.raises(ValueError, match="one device, got cpu and meta"):
        op(x, z.to("meta"))


@all_ops
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"padding": -1}, r'padding must be an int >= 0, "valid" or "same", got -1'),
        ({"padding": "full"}, "padding must be an int >= 0.*'full'"),
        ({"padding": 1.5}, "padding must be an int >= 0.*1.5"),
        ({"padding": True}, "padding must be an int >= 0.*True"),
        ({"dilation": True}, "dilation must be an int >= 1, got True"),
        ({"padding": None}, "padding must be an int >= 0.*None"),
        ({"dilation": 0}, "dilation must be an int >= 1, got 0"),
        ({"dilation": -1}, "dilation must be an int >= 1, got -1"),
        ({"dilation": 1.0}, r"dilation must be an int >= 1, got 1\.0"),
        ({"dilation": 4}, "must lie inside the padded search, got 9x5 in 7x6"),
        ({"dilation": 4, "padding": 0}, "9x5 in 7x6"),
        ({"method": "direct"}, "method must be one of auto, conv, gemm, fft.*, got 'direct'"),
        ({"method": None}, "method must be one of auto, conv, gemm, fft.*, got None"),
    ],
)
def test_errors_options(op, options, text):
    x, z = pair(op)
    with pytest.raises(ValueError, match=f"^{op.__name__}: .*{text}"):
        op(x, z, **options)
