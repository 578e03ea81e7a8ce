"""Depthwise and depthwise-separable convolution, against F.conv2d by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

from siamcorr.layers import DepthwiseConv2d, SeparableConv2d, count_parameters, same_pad

DEPTHWISE, SEPARABLE = (DepthwiseConv2d, (3,)), (SeparableConv2d, (3, 5))
both = pytest.mark.parametrize(("kind", "channels"), [DEPTHWISE, SEPARABLE])


def build(kind, *args, **options) -> nn.Module:
    torch.manual_seed(0)
    return kind(*args, **options)


def features(channels: int = 3, height: int = 9, width: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("args", "options", "expected"),
    [
        ((32, 64, (1, 16)), {}, 32 * 16 + 32 * 64 + 64),
        ((32, 64, (1, 16)), {"bias": False}, 512 + 2048),
        ((4, 8, 3), {"bias": False}, 36 + 32),
        ((4, 8, 3), {"depth_multiplier": 2}, 72 + 64 + 8),
        ((4, 8, 3), {"stride": 2, "padding": "valid"}, 36 + 32 + 8),
        ((1, 1, 1), {}, 3),
    ],
)
def test_parameters(args, options, expected):
    assert count_parameters(SeparableConv2d(*args, **options)) == expected


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def test_keys():
    module = SeparableConv2d(3, 5, (2, 4), depth_multiplier=2)
    assert shapes(module) == {
        "depthwise.weight": (6, 1, 2, 4),
        "pointwise.weight": (5, 6, 1, 1),
        "pointwise.bias": (5,),
    }
    assert shapes(DepthwiseConv2d(3, 2, depth_multiplier=2)) == {
        "weight": (6, 1, 2, 2),
        "bias": (6,),
    }
    keys = {"depthwise.weight", "pointwise.weight"}
    assert set(shapes(SeparableConv2d(3, 5, 3, bias=False))) == keys
    assert set(shapes(DepthwiseConv2d(3, 3, bias=False))) == {"weight"}


@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 5)])
@pytest.mark.parametrize(
    ("stride", "dilation", "padding"),
    [
        ((1, 1), (1, 1), "same"),
        ((2, 2), (1, 1), "same"),
        ((1, 3), (1, 1), "same"),
        ((1, 1), (1, 3), "same"),
        ((2, 1), (1, 1), "valid"),
        ((1, 1), (2, 2), 2),
        ((2, 2), (1, 1), (1, 3)),
    ],
)
@pytest.mark.parametrize("rest", [{}, {"depth_multiplier": 3, "bias": False}])
def test_two_convolutions_by_hand(kernel, stride, dilation, padding, rest):
    """No bias, norm or activation between the two."""
    options = {"stride": stride, "padding": padding, "dilation": dilation} | rest
    module, x = build(SeparableConv2d, 3, 5, kernel, dtype=torch.float64, **options), features()
    laid, border = x, 0 if padding == "valid" else padding
    if padding == "same":
        rows, columns = map(same_pad, (9, 8), kernel, stride, dilation)
        laid, border = F.pad(x, (*columns, *rows)), 0
    expected = F.conv2d(laid, module.depthwise.weight, None, stride, border, dilation, groups=3)
    torch.testing.assert_close(module.depthwise(x), expected, rtol=1e-12, atol=1e-12)
    expected = F.conv2d(expected, module.pointwise.weight, module.pointwise.bias)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)
    assert [type(part) for part in module.children()] == [DepthwiseConv2d, nn.Conv2d]
    assert module.depthwise.bias is None


def test_impulse():
    """An impulse returns the kernel rotated by 180 degrees: the kernel is not flipped."""
    module = DepthwiseConv2d(1, 3, bias=False)
    module.load_state_dict({"weight": torch.arange(1.0, 10).reshape(1, 1, 3, 3)})
    x = torch.zeros(1, 1, 5, 5)
    x[..., 2, 2] = 1
    assert module(x)[0, 0].tolist() == [
        [0, 0, 0, 0, 0],
        [0, 9, 8, 7, 0],
        [0, 6, 5, 4, 0],
        [0, 3, 2, 1, 0],
        [0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("options", [{"stride": 2}, {"dilation": 2, "depth_multiplier": 2}])
@both
def test_gradcheck(kind, channels, options):
    module = build(kind, *channels, 2, dtype=torch.float64, **options)
    names, weights = zip(*module.named_parameters(), strict=True)

    def call(x: Tensor, *weights: Tensor) -> Tensor:
        return functional_call(module, dict(zip(names, weights, strict=True)), (x,))

    assert gradcheck(call, (features(3, 4, 3)[:1].requires_grad_(), *weights))


@both
def test_layout(kind, channels):
    module, x = build(kind, *channels, (2, 3), stride=2, dtype=torch.float64), features()
    expected = module(x)
    last = x.contiguous(memory_format=torch.channels_last)
    strided = torch.empty(2, 3, 8, 18, dtype=x.dtype)[..., ::2].mT.copy_(x)
    assert not strided.is_contiguous()
    for other in (last, strided):
        torch.testing.assert_close(module(other), expected, rtol=1e-12, atol=1e-12)
    module.to(memory_format=torch.channels_last)
    torch.testing.assert_close(module(last), expected, rtol=1e-12, atol=1e-12)
    assert module(x[:0]).shape == (0, *expected.shape[1:])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@both
def test_dtype(kind, channels, dtype):
    module, x = build(kind, *channels, 4, dtype=dtype), features()
    assert {p.dtype for p in module.parameters()} == {dtype}
    response = module(x.to(dtype))
    assert response.dtype == dtype
    exact = module.double()(x.to(dtype).double())
    torch.testing.assert_close(response.double(), exact, rtol=0.02, atol=0.02)


@both
def test_device(kind, channels):
    module = kind(*channels, 3, stride=2, device="meta")
    assert all(p.is_meta for p in module.parameters())
    response = module(torch.empty(2, 3, 9, 8, device="meta"))
    assert (response.is_meta, response.shape) == (True, (2, channels[-1], 5, 4))


@both
def test_compile(kind, channels):
    module = build(kind, *channels, (2, 4), stride=(2, 1), dtype=torch.float64)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for x in (features(), features(3, 12, 7)):
        torch.testing.assert_close(compiled(x), module(x), rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter's own
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@both
def test_onnx(kind, channels):
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    module, x = build(kind, *channels, (2, 4), stride=2).eval(), features().float()
    program = torch.onnx.export(module, (x,), dynamo=True, optimize=True, verbose=False)
    session = ort.InferenceSession(program.model_proto.SerializeToString())
    (response,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(response, module(x).detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"padding": "full"}, """padding must be "same", "valid" or an int >= 0, got 'full'"""),
        ({"padding": -1}, "padding must be .*, got -1"),
        ({"padding": (1, -1)}, r"padding must be .*, got \(1, -1\)"),
        ({"padding": (1, 1, 1)}, r"padding must be .*, got \(1, 1, 1\)"),
        ({"padding": True}, "padding must be .*, got True"),
        ({"padding": None}, "padding must be .*, got None"),
        ({"kernel_size": 0}, "must be >= 1, got 0, 1, 1, 1"),
        ({"kernel_size": (1, 0)}, r"must be >= 1, got \(1, 0\), 1, 1, 1"),
        ({"stride": 0, "dilation": (1, 0)}, r"must be >= 1, got 3, 0, \(1, 0\), 1"),
        ({"depth_multiplier": 0}, "must be >= 1, got 3, 1, 1, 0"),
        ({"stride": 2, "dilation": 2}, "stride > 1 with dilation > 1 is refused.*stride=2"),
        ({"stride": (1, 2), "dilation": (2, 1)}, "stride > 1 with dilation > 1 is refused"),
    ],
)
@both
def test_errors(kind, channels, options, text):
    with pytest.raises(ValueError, match=f"^{kind.__name__}: .*{text}"):
        kind(*channels, **({"kernel_size": 3} | options))


def test_repr():
    module = SeparableConv2d(3, 5, (1, 16), 2, depth_multiplier=2)
    text = "3, 6, kernel_size=(1, 16), stride=(2, 2), padding='same', dilation=(1, 1)"
    assert repr(module.depthwise) == f"DepthwiseConv2d({text}, bias=False)"
    assert f"(depthwise): DepthwiseConv2d({text}, bias=False)" in repr(module)
    assert "(pointwise): Conv2d(6, 5, kernel_size=(1, 1)" in repr(module)
    text = "4, 4, kernel_size=(3, 3), stride=(1, 1), padding=2, dilation=(2, 2)"
    assert repr(DepthwiseConv2d(4, 3, padding=2, dilation=2)) == f"DepthwiseConv2d({text})"
