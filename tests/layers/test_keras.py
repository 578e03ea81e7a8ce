"""SeparableConv2d and DepthwiseConv2d against Keras itself, weights carried over both ways."""

import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from siamcorr.layers import DepthwiseConv2d, SeparableConv2d, count_parameters

os.environ["KERAS_BACKEND"] = "torch"
os.environ["KERAS_TORCH_DEVICE"] = "cpu"
keras = pytest.importorskip("keras")

pytestmark = [
    # Keras's variables on torch answer NumPy 2 in the way of NumPy 1.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*padding='same' with even kernel:UserWarning"),
    # What torch says when oneDNN is switched off, or on again: see `answer`.
    pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN:UserWarning"),
]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
KINDS = {
    SeparableConv2d: keras.layers.SeparableConv2D,
    DepthwiseConv2d: keras.layers.DepthwiseConv2D,
}
both = pytest.mark.parametrize("kind", KINDS)


def filled(kind, out: int, shape: tuple[int, ...], **options):
    """A built Keras layer with random weights, its input as ours takes it, and ours' channels.

    Nothing is negative, so that sums do not cancel and each number is right to its last places.
    """
    options = {"data_format": "channels_last", "dtype": "float32", "name": "layer"} | options
    filters = (out,) if kind is SeparableConv2d else ()
    layer = KINDS[kind](*filters, **options)
    batch, channels, height, width = shape
    first = options["data_format"] == "channels_first"
    layer.build(shape if first else (batch, height, width, channels))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.random(weight.shape) + 0.1 for weight in layer.get_weights()])
    x = torch.from_numpy(rng.random(shape).astype(options["dtype"]))
    return layer, x, (channels, *filters)


def answer(layer, x: Tensor) -> Tensor:
    """What Keras gives, as (B, C, H, W).

    Without oneDNN, which is wrong for one channel in channels_last, stride > 1 and an output of
    width 1 (torch 2.13); Keras lays its kernels so.
    """
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
        if layer.data_format == "channels_first":
            return layer(x)
        return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def agree(module, layer, x: Tensor) -> None:
    tolerance = TOLERANCE[layer.dtype]
    with torch.no_grad():
        response = module(x)
    torch.testing.assert_close(response, answer(layer, x), rtol=tolerance, atol=0)


def sides(most: int) -> st.SearchStrategy:
    """One number, or one for each side."""
    return st.integers(1, most) | st.tuples(st.integers(1, most), st.integers(1, most))


@st.composite
def cases(draw):
    """Output channels, input shape and Keras's options."""
    kernel, stride, dilation = draw(sides(6)), 1, 1
    if draw(st.booleans()):
        stride = draw(sides(3))
    else:
        dilation = draw(sides(3))
    padding = draw(st.sampled_from(["same", "valid"]))
    pairs = [(side, side) if isinstance(side, int) else side for side in (kernel, dilation)]
    least = [(k - 1) * d + 1 if padding == "valid" else 1 for k, d in zip(*pairs, strict=True)]
    channels = st.integers(1, 4)
    shape = (draw(st.integers(1, 2)), draw(channels), *(draw(st.integers(n, n + 8)) for n in least))
    options = {
        "kernel_size": kernel,
        "strides": stride,
        "padding": padding,
        "dilation_rate": dilation,
        "depth_multiplier": draw(st.integers(1, 3)),
        "use_bias": draw(st.booleans()),
        "data_format": draw(st.sampled_from(["channels_last", "channels_first"])),
        "dtype": draw(st.sampled_from(list(TOLERANCE))),
    }
    return draw(channels), shape, options


@both
@settings(max_examples=350, deadline=None)
@given(case=cases())
def test_what_keras_gives(kind, case):
    """From a copy of Keras's layer, and from ours built by hand and filled."""
    out, shape, options = case
    layer, x, channels = filled(kind, out, shape, **options)
    ordered = [options[name] for name in list(options)[:6]]
    module = kind(*channels, *ordered, dtype=x.dtype)
    module.load_keras_weights(*layer.get_weights())
    agree(module, layer, x)
    copied = kind.from_keras(layer)
    agree(copied, layer, x)
    assert count_parameters(copied) == layer.count_params()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_one_row(dtype):
    """Kernel (1, 16), 32 to 64 channels: 7 zeros before, 8 behind, and not the other way."""
    layer, x, channels = filled(
        SeparableConv2d, 64, (2, 32, 1, 100), kernel_size=(1, 16), padding="same", dtype=dtype
    )
    module = SeparableConv2d(*channels, (1, 16), dtype=x.dtype)
    module.load_keras_weights(*layer.get_weights())
    agree(module, layer, x)
    agree(SeparableConv2d.from_keras(layer), layer, x)
    unpadded = SeparableConv2d(*channels, (1, 16), padding="valid", dtype=x.dtype)
    unpadded.load_state_dict(module.state_dict())
    expected = answer(layer, x)
    right, wrong = unpadded(F.pad(x, (7, 8))), unpadded(F.pad(x, (8, 7)))
    torch.testing.assert_close(right, expected, rtol=TOLERANCE[dtype], atol=0)
    assert wrong.shape == expected.shape
    assert (wrong - expected).abs().max() > 0.01 * expected.max()


def test_order_of_channels():
    """Keras's filter m of channel c comes out at c*M + m, and goes into the 1x1 there."""
    kernel = np.arange(1.0, 7).reshape(1, 1, 2, 3)
    x = torch.tensor([1.0, 100]).reshape(1, 2, 1, 1)
    layer, _, _ = filled(DepthwiseConv2d, 0, x.shape, kernel_size=1, depth_multiplier=3)
    layer.set_weights([kernel, np.arange(6) / 10])
    expected = torch.tensor([1, 2.1, 3.2, 400.3, 500.4, 600.5])
    torch.testing.assert_close(answer(layer, x).flatten(), expected)
    torch.testing.assert_close(DepthwiseConv2d.from_keras(layer)(x).flatten(), expected)
    module = SeparableConv2d(2, 1, 1, depth_multiplier=3, dtype=torch.float64)
    module.load_keras_weights(kernel, 10.0 ** np.arange(6).reshape(1, 1, 6, 1), [0.5])
    assert module(x.double()).item() == 1 + 20 + 300 + 400e3 + 500e4 + 600e5 + 0.5


@both
def test_stride_with_dilation(kind):
    """Keras documents it as refused, and its Conv2D refuses; ours does so everywhere."""
    assert "incompatible with `dilation_rate > 1`" in " ".join(KINDS[kind].__doc__.split())
    options = {"kernel_size": 3, "strides": 2, "dilation_rate": 2}
    with pytest.raises(ValueError, match="`strides > 1` not supported in conjunction with `dil"):
        keras.layers.Conv2D(4, **options)
    layer, _, _ = filled(kind, 4, (1, 3, 9, 9), **options)
    with pytest.raises(ValueError, match=f"^{kind.__name__}: stride > 1 with dilation > 1 is ref"):
        kind.from_keras(layer)


@both
def test_layers_that_are_refused(kind):
    filters = (4,) if kind is SeparableConv2d else ()
    layer = KINDS[kind](*filters, 3, name="new")
    with pytest.raises(ValueError, match=r"^new: has no weights yet; build the Keras layer"):
        kind.from_keras(layer)
    (other,) = set(KINDS) - {kind}
    layer, _, _ = filled(other, 4, (1, 3, 9, 9), kernel_size=3)
    with pytest.raises(ValueError, match=r"^layer: is of another kind: it has \d kernels, not \d$"):
        kind.from_keras(layer)
    layer, _, _ = filled(kind, 4, (1, 3, 9, 9), kernel_size=3, activation="relu")
    with pytest.raises(ValueError, match=r"^layer: has the activation 'relu', this module none"):
        kind.from_keras(layer)
    layer, x, _ = filled(kind, 4, (1, 3, 9, 9), kernel_size=3, activation="linear")
    agree(kind.from_keras(layer), layer, x)


WANTED = {
    DepthwiseConv2d: {"kernel": (3, 2, 4, 2), "bias": (8,)},
    SeparableConv2d: {"depthwise": (3, 2, 4, 2), "pointwise": (1, 1, 8, 5), "bias": (5,)},
}


def ours(kind, bias: bool = True):
    channels = (4, 5) if kind is SeparableConv2d else (4,)
    return kind(*channels, (3, 2), depth_multiplier=2, bias=bias)


@pytest.mark.parametrize(
    ("kind", "name", "shape", "text"),
    [
        (DepthwiseConv2d, "kernel", (2, 3, 4, 2), r"depthwise kernel: must be \(3, 2, 4, 2\)"),
        (DepthwiseConv2d, "kernel", (8, 1, 3, 2), r".*in Keras's layout, got \(8, 1, 3, 2\)"),
        (DepthwiseConv2d, "bias", (4,), r"bias: must be \(8,\) in Keras's layout, got \(4,\)"),
        (SeparableConv2d, "depthwise", (3, 2, 8, 1), "depthwise kernel: must be"),
        (SeparableConv2d, "pointwise", (8, 5), r"pointwise kernel: must .* got \(8, 5\)"),
        (SeparableConv2d, "bias", (1,), r"bias: must be \(5,\) in Keras's layout, got \(1,\)"),
    ],
)
def test_shapes_are_checked(kind, name, shape, text):
    """Also where a shape would broadcast, or holds as many numbers."""
    arrays = {key: np.zeros(value) for key, value in (WANTED[kind] | {name: shape}).items()}
    with pytest.raises(ValueError, match=f"^{text}"):
        ours(kind).load_keras_weights(**arrays)


@both
def test_bias_is_checked(kind):
    *weights, bias = (np.zeros(shape) for shape in WANTED[kind].values())
    with pytest.raises(ValueError, match=r"^bias: the module has one, the weights have none"):
        ours(kind).load_keras_weights(*weights)
    with pytest.raises(ValueError, match=r"^bias: the module has none, the weights have one"):
        ours(kind, bias=False).load_keras_weights(*weights, bias)


@both
def test_read_only_arrays(kind):
    """As Keras hands them out on JAX; torch would warn. What is loaded is a copy."""
    arrays = [np.full(shape, 2.0) for shape in WANTED[kind].values()]
    for array in arrays:
        array.flags.writeable = False
    module = ours(kind)
    module.load_keras_weights(*arrays)
    with torch.no_grad():
        for parameter in module.parameters():
            assert parameter.unique().tolist() == [2]
            parameter.zero_()
    assert all((array == 2).all() for array in arrays)
