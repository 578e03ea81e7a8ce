"""naive, batched and depthwise: one table of tests for all three."""

from collections.abc import Callable

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive

OPS = [xcorr_naive, xcorr_batched, xcorr_depthwise]
ORACLES = {
    xcorr_naive: reference.naive,
    xcorr_batched: reference.batched,
    xcorr_depthwise: reference.depthwise,
}
Op = Callable[..., Tensor]
all_ops = pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)


def pair(op: Op, batch: int = 2, outputs: int = 1, dtype: torch.dtype = torch.float64, **kw):
    """A search and a template that fit op: sizes 7x6 and 3x2 unless told."""
    generator = torch.Generator().manual_seed(kw.pop("seed", 0))
    channels, size, template = kw.get("channels", 3), kw.get("size", (7, 6)), kw.get("z", (3, 2))
    shared = kw.get("shared", False)
    leading = {
        xcorr_naive: (outputs, channels),
        xcorr_batched: (1 if shared else batch, outputs * channels),
        xcorr_depthwise: (1 if shared else batch, channels),
    }[op]
    x = torch.randn(batch, channels, *size, generator=generator, dtype=torch.float64)
    z = torch.randn(*leading, *template, generator=generator, dtype=torch.float64)
    return x.to(dtype), z.to(dtype)


# reference


@all_ops
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_reference(op, batch, outputs, shared):
    x, z = pair(op, batch, outputs, shared=shared)
    torch.testing.assert_close(op(x, z), ORACLES[op](x, z))


@all_ops
@pytest.mark.parametrize("padding", ["valid", "same", 0, 1, 3])
@pytest.mark.parametrize("z_size", [(3, 3), (2, 4), (1, 1), (4, 3)])
def test_reference_padding(op, padding, z_size):
    x, z = pair(op, z=z_size)
    h, w = z_size
    if padding == "same":
        sides = ((w - 1) // 2, w // 2, (h - 1) // 2, h // 2)
    else:
        sides = (0 if padding == "valid" else padding,) * 4
    padded = torch.nn.functional.pad(x, sides)
    response = op(x, z, padding=padding)
    torch.testing.assert_close(response, ORACLES[op](padded, z))
    if padding == "same":
        assert response.shape[2:] == x.shape[2:]


@all_ops
def test_reference_scale(op):
    x, z = pair(op)
    torch.testing.assert_close(op(x, z, scale=0.25), ORACLES[op](x, z) * 0.25)


@all_ops
def test_reference_empty_batch(op):
    x, z = pair(op, batch=0)
    response = op(x.requires_grad_(), z)
    assert response.shape == (0, 3 if op is xcorr_depthwise else 1, 5, 5)
    response.sum().backward()
    assert x.grad.shape == x.shape


# known values


@all_ops
def test_known_values_impulse(op):
    """An impulse brings the template out turned by 180 degrees: a flipped one would not be."""
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    z = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    expected = torch.tensor([[9.0, 8, 7], [6, 5, 4], [3, 2, 1]])
    assert torch.equal(op(x, z)[0, 0], expected)


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
    """The walk-through of the field, with few channels, and the shapes of known trackers."""
    assert op(torch.rand(search), torch.rand(template)).shape == response


def test_known_values_pairs():
    """Template b belongs to search b, and output o to the o-th block of C channels."""
    x = torch.ones(2, 2, 1, 1)
    z = torch.tensor([[1.0, 2, 10, 20], [3, 4, 30, 40]]).reshape(2, 4, 1, 1)
    assert xcorr_batched(x, z).flatten(1).tolist() == [[3, 30], [7, 70]]
    assert xcorr_depthwise(x, z[:, :2]).flatten(1).tolist() == [[1, 2], [3, 4]]
    assert xcorr_naive(x, z[:, :2]).flatten(1).tolist() == [[3, 7], [3, 7]]


# properties

sizes = st.integers(1, 4)


@all_ops
@settings(max_examples=25, deadline=None)
@given(h=sizes, w=sizes, more=sizes, channels=sizes, batch=sizes, seed=st.integers(0, 999))
def test_properties(op, h, w, more, channels, batch, seed):
    """Linear in both, equivariant to shifts of search, blind to the order of the batch."""
    make = {"channels": channels, "z": (h, w), "size": (h + more, w + more), "seed": seed}
    x, z = pair(op, batch, **make)
    other, _ = pair(op, batch, **{**make, "seed": seed + 1})
    response = op(x, z)
    torch.testing.assert_close(op(2 * x - other, z), 2 * response - op(other, z))
    torch.testing.assert_close(op(x, -3 * z), -3 * response)

    moved = torch.roll(x, (1, 1), dims=(2, 3))
    torch.testing.assert_close(op(moved, z)[..., 1:, 1:], response[..., :-1, :-1])

    order = torch.randperm(batch, generator=torch.Generator().manual_seed(seed))
    shuffled = z if op is xcorr_naive else z[order]
    torch.testing.assert_close(op(x[order], shuffled), response[order])


# gradcheck


@all_ops
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("padding", ["valid", 1])
def test_gradcheck(op, shared, padding):
    x, z = pair(op, outputs=2, shared=shared, size=(4, 5))
    inputs = x.requires_grad_(), z.requires_grad_()
    call = lambda x, z: op(x, z, padding=padding, scale=0.5)  # noqa: E731
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


# dtype


@all_ops
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype(op, dtype):
    x, z = pair(op, dtype=dtype)
    response = op(x, z)
    assert response.dtype == dtype
    exact = ORACLES[op](x.double(), z.double())
    worst = {torch.float16: 4e-3, torch.bfloat16: 4e-2, torch.float32: 1e-6, torch.float64: 1e-14}
    assert (response.double() - exact).norm() <= worst[dtype] * exact.norm()


@all_ops
def test_dtype_half_does_not_overflow_with_scale(op):
    x = torch.full((1, 64, 16, 16), 100.0, dtype=torch.float16)
    z = torch.full((1, 64, 8, 8), 100.0, dtype=torch.float16)
    assert op(x, z).isinf().all()
    assert op(x, z, scale=1e-3).isfinite().all()


# layout


@all_ops
def test_layout(op):
    x, z = pair(op, batch=2, channels=4)
    expected = op(x, z)
    wide = torch.randn(2, 4, 7, 12, dtype=x.dtype)
    wide[..., ::2] = x
    layouts = {
        "channels_last": x.contiguous(memory_format=torch.channels_last),
        "strided": wide[..., ::2],
        "transposed": x.transpose(2, 3).contiguous().transpose(2, 3),
    }
    for name, search in layouts.items():
        assert not search.is_contiguous(), name
        torch.testing.assert_close(op(search, z), expected, msg=name)
        turned = z.transpose(0, 1).contiguous().transpose(0, 1)
        torch.testing.assert_close(op(search, turned), expected, msg=name)
    expanded = x[:1].expand(2, -1, -1, -1)
    torch.testing.assert_close(op(expanded, z), op(expanded.contiguous(), z))
    last = z.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(op(layouts["channels_last"], last), expected)


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
    ],
)
def test_errors_shapes(op, search, template, text):
    with pytest.raises(ValueError, match=f"^{op.__name__}: .*{text}"):
        op(torch.rand(search), torch.rand(template))


@pytest.mark.parametrize("op", [xcorr_batched, xcorr_depthwise])
@pytest.mark.parametrize("batch", [0, 2, 3, 4])
def test_errors_pairs_are_never_cyclic(op, batch):
    with pytest.raises(
        ValueError, match=f"template batch must be 1 or that of search, got {batch}"
    ):
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
    with pytest.raises(ValueError, match="one device, got cpu and meta"):
        op(x, z.to("meta"))
    for padding in (-1, "full", 1.5, None):
        with pytest.raises(ValueError, match="padding must be an int >= 0"):
            op(x, z, padding=padding)


# compile


@all_ops
def test_compile(op):
    x, z = pair(op)
    compiled = torch.compile(op, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        compiled(x, z, padding="same", scale=0.5), op(x, z, padding="same", scale=0.5)
    )


# export


@all_ops
def test_export(op):
    class Net(torch.nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return op(x, z, padding=1)

    x, z = pair(op)
    program = torch.export.export(Net(), (x, z))
    torch.testing.assert_close(program.module()(x, z), op(x, z, padding=1))
