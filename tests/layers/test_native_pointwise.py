"""1x1 convolutions and channel attention on the C++ kernels.

They are equal to PyTorch's, and step back where they must.
"""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from siamcorr.layers import (
    ChannelAttention,
    NativeDepthwiseConv2d,
    NativeGate,
    NativePointwiseConv2d,
    PointwiseConv2d,
    SqueezeExcite,
    use_native,
)
from siamcorr.layers.native_sequential import NativeSequential, native_layer
from siamcorr.ops import kernels, layer_kernels

needs_kernels = pytest.mark.skipif(kernels.VARIANT is None, reason="there are no C++ kernels here")
LAST = torch.channels_last
ACTIVATIONS = (None, nn.ReLU(), nn.ReLU6(), nn.Hardswish())


@pytest.fixture(params=kernels.module.variants() if kernels.module else ["none"])
def variant(request):
    """Every set of kernels that this processor can run, one after the other."""
    if kernels.module is None:
        pytest.skip("there are no C++ kernels here")
    kernels.module.choose(request.param)
    yield request.param
    kernels.module.choose(kernels.VARIANT)


@pytest.fixture
def used(monkeypatch):
    """The jobs that the kernels did."""
    jobs = []

    def count(function):
        def call(*args, **options):
            jobs.append(args)
            return function(*args, **options)

        return call

    monkeypatch.setattr(kernels, "run", count(kernels.run))
    for name in ("run_pointwise", "run_gate"):
        monkeypatch.setattr(layer_kernels, name, count(getattr(layer_kernels, name)))
    return jobs


def pointwise(channels, outputs, **options):
    return nn.Conv2d(channels, outputs, 1, **options).requires_grad_(False)


def last(*shape):
    return torch.randn(shape).contiguous(memory_format=LAST)


def same(out, expected):
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 4, 15, 16, 17, 31, 32, 33, 40, 96])
@pytest.mark.parametrize("cells", [(1, 1), (1, 5), (7, 7), (9, 13)])
def test_pointwise(variant, used, outputs, cells):
    """Any number of outputs and cells: blocks of 16 channels overlap, tiles differ in size."""
    for number, activation in enumerate(ACTIVATIONS):
        conv = pointwise(19, outputs, bias=number % 2 == 0)
        features = 4 * last(2, 19, *cells)
        expected = conv(features) if activation is None else activation(conv(features))
        out = NativePointwiseConv2d.of(conv, activation)(features)
        same(out, expected)
        assert out.is_contiguous(memory_format=LAST)
    assert len(used) == len(ACTIVATIONS)


@pytest.mark.parametrize("groups", [2, 3, 6])
@pytest.mark.parametrize("outputs", [2, 16, 20])
def test_groups(variant, used, groups, outputs):
    conv = pointwise(12, groups * outputs, groups=groups)
    features = last(2, 12, 5, 9)
    same(NativePointwiseConv2d.of(conv, nn.ReLU())(features), conv(features).relu())
    assert len(used) == 1


@needs_kernels
def test_many_weights_and_no_cells(used):
    """With weights that exceed a cache, the order of the work differs, and not the result."""
    conv = pointwise(300, 250)
    features = last(1, 300, 9, 9)
    same(NativePointwiseConv2d.of(conv)(features), conv(features))
    assert NativePointwiseConv2d.of(conv)(features[:0]).shape == (0, 250, 9, 9)


@needs_kernels
def test_large_responses(used):
    """PyTorch computes them; it is faster where memory is the limit."""
    conv = pointwise(8, 80)
    layer = NativePointwiseConv2d.of(conv, nn.ReLU())
    for side, jobs in ((64, 1), (128, 1)):
        features = last(1, 8, side, side)
        same(layer(features), conv(features).relu())
        assert len(used) == jobs


@needs_kernels
def test_same_for_every_number_of_threads(used):
    """Bitwise equal."""
    layer, features, results = NativePointwiseConv2d.of(pointwise(64, 90)), last(3, 64, 31, 31), []
    before = torch.get_num_threads()
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        results.append(layer(features))
    torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)
    assert len(used) == 4


def test_steps_back(used):
    """Gradients, autocast, other types, graphs, strides: PyTorch, and the same numbers."""
    conv = pointwise(6, 20)
    layer, features = NativePointwiseConv2d.of(conv, nn.ReLU()), last(2, 6, 5, 5)
    learning = features.clone().requires_grad_()
    (grad,) = torch.autograd.grad(layer(learning).sum(), learning)
    (expected,) = torch.autograd.grad(conv(learning).relu().sum(), learning)
    same(grad, expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(features).dtype == torch.bfloat16
    program = torch.export.export(layer, (features,))
    same(program.module()(features + 1), conv(features + 1).relu())
    same(layer(features[:, :, ::2]), conv(features[:, :, ::2]).relu())
    same(torch.vmap(layer)(features[None])[0], conv(features).relu())
    double = copy.deepcopy(layer).double()
    assert double(features.double()).dtype == torch.float64
    for wrong in (last(1, 5, 4, 4), features.int(), features.double(), last(1, 6, 0, 4)):
        with pytest.raises(RuntimeError):
            layer(wrong)
    assert not used


def test_errors_other_convolutions():
    for conv in (nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1, stride=2), nn.Conv2d(8, 8, 1, padding=1)):
        with pytest.raises(ValueError, match=r"^PointwiseConv2d: takes a plain 1x1 convolution"):
            NativePointwiseConv2d.of(conv)
    with pytest.raises(ValueError, match=r"^the kernels have no activation Tanh"):
        NativePointwiseConv2d.of(nn.Conv2d(8, 8, 1), nn.Tanh())


@needs_kernels
def test_errors_wrong_jobs():
    """They are refused, not run."""
    module, at = kernels.module, torch.zeros(64).data_ptr()

    def job(*numbers):
        return layer_kernels.POINTWISE_LAYOUT.pack(*numbers)

    good, no_groups, huge = job(1, 1, 1, 1, 0), job(1, 0, 1, 1, 0), job(2**63 - 1, 1, 1, 1, 0)
    no_activation = job(1, 1, 1, 1, 4)
    for job in (b"", good[:-8], no_groups, huge, no_activation):
        with pytest.raises(ValueError, match="job"):
            module.run_pointwise(job, at, at, at, at, 1)
    with pytest.raises(ValueError, match="no bias"):
        module.run_pointwise(good, at, at, 0, at, 1)
    with pytest.raises(TypeError):
        module.run_pointwise(good, at, at, at, at)


# channel attention


def attentions(channels):
    return SqueezeExcite(channels, 24), ChannelAttention(channels)


@pytest.mark.parametrize("channels", [1, 8, 15, 16, 17, 40, 72, 96, 147])
@pytest.mark.parametrize("size", [(1, 16, 16), (3, 5, 7), (2, 1, 1)])
def test_channel_attention(variant, used, channels, size):
    for module in attentions(channels):
        module.requires_grad_(False)
        features = 5 * last(size[0], channels, *size[1:])
        for activation in ACTIVATIONS:
            expected = module(features)
            expected = expected if activation is None else activation(expected)
            same(NativeGate.of(module, activation)(features), expected)
    assert len(used) == 2 * len(ACTIVATIONS)


@needs_kernels
def test_channel_attention_of_large_maps():
    """The mean is exact, too, where every sum is rounded in the same direction."""
    module = SqueezeExcite(16, 8).requires_grad_(False)
    features = torch.full((1, 16, 300, 300), 0.1).contiguous(memory_format=LAST)
    same(NativeGate.of(module)(features), module(features))


@needs_kernels
def test_channel_attention_steps_back(used):
    for module in attentions(16):
        layer, features = NativeGate.of(module, nn.ReLU()), last(2, 16, 6, 6)
        learning = features.clone().requires_grad_()
        (grad,) = torch.autograd.grad(layer(learning).sum(), learning)
        (expected,) = torch.autograd.grad(module(learning).relu().sum(), learning)
        same(grad, expected)
        same(layer(features.contiguous()).detach(), module(features).relu().detach())
        double = copy.deepcopy(layer).double().requires_grad_(False)
        assert double(features.double()).dtype == torch.float64
        with pytest.raises(RuntimeError):
            layer(last(1, 15, 4, 4))
    assert not used
    assert layer(features[:0]).shape == (0, 16, 6, 6)
    with pytest.raises(ValueError, match=r"^NativeGate: takes SqueezeExcite or"):
        NativeGate.of(nn.ReLU())


@needs_kernels
def test_errors_wrong_gate_jobs():
    module, at = kernels.module, torch.zeros(64).data_ptr()
    for numbers in (
        (1, 0, 1, 1, 0, 0),
        (1, 1, 1, 1, 2, 0),
        (2**63 - 1, 1, 1, 1, 0, 0),
        (-1, 1, 1, 1, 0, 0),
    ):
        with pytest.raises(ValueError, match="no such job"):
            module.run_gate(layer_kernels.GATE_LAYOUT.pack(*numbers), at, at, 0, at, 1)


# several layers


def chain():
    """Native layers, nn.Identity, and one layer that is not native."""
    depthwise = nn.Conv2d(24, 24, 3, padding=1, groups=24)
    layers = nn.Conv2d(3, 24, 1), nn.ReLU(), nn.Identity(), depthwise, nn.Conv2d(24, 40, 1)
    layers += nn.Sigmoid(), nn.Conv2d(40, 8, 1), nn.Hardswish()
    return nn.Sequential(nn.Sequential(*layers)).requires_grad_(False)


@needs_kernels
def test_sequences(used):
    """Batches for which a layer in the middle steps back, other shapes, the first shape again."""
    plain = chain()
    fast = use_native(copy.deepcopy(plain))
    assert isinstance(fast[0], NativeSequential)
    jobs = []
    for shape in ((1, 3, 24, 24), (5, 3, 24, 24), (1, 3, 33, 20), (1, 3, 24, 24)):
        features = last(*shape)
        same(fast(features), plain(features))
        jobs.append(len(used))
    assert jobs == [4, 7, 11, 15]
    assert type(use_native(fast)[0][0]) is NativePointwiseConv2d  # nothing is replaced twice
    assert type(fast[0][0].plain) is PointwiseConv2d
    same(copy.deepcopy(fast)(features), plain(features))


@needs_kernels
def test_a_sequence_that_changes(used):
    """Weights of another type, and another layer, are taken at once."""
    plain, features = chain(), last(1, 3, 24, 24)
    fast = use_native(copy.deepcopy(plain))
    fast(features)
    fast[0][3].double()
    with pytest.raises(RuntimeError):  # as with nn.Conv2d
        fast(features)
    fast[0][3].float()
    same(fast(features), plain(features))
    with torch.no_grad():
        plain[0][3].weight.mul_(2)
        plain[0][3].bias.mul_(2)
    fast[0][3] = NativeDepthwiseConv2d.of(plain[0][3])
    same(fast(features), plain(features))
    half = fast.bfloat16()
    assert half(features.bfloat16()).dtype == torch.bfloat16


@needs_kernels
def test_other_operands(used):
    """A new bias, one of a negated view, another default type of numbers."""
    conv, features = nn.Conv2d(8, 8, 3, groups=8).requires_grad_(False), last(1, 8, 5, 5)
    layer = NativeDepthwiseConv2d.of(conv)
    expected = layer(features)
    layer.bias = layer.bias + 100
    same(layer(features), expected + 100)
    negated = nn.Parameter(torch._neg_view(torch.ones(8)), requires_grad=False)
    for plain in (conv, pointwise(8, 8)):
        plain.bias = negated
        same(use_native(nn.Sequential(copy.deepcopy(plain)))(features), plain(features))
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.bfloat16)
        out = use_native(nn.Sequential(copy.deepcopy(plain)))(features)
    finally:
        torch.set_default_dtype(before)
    same(out, plain(features))


@needs_kernels
def test_layers_that_occur_twice():
    shared, conv = nn.ReLU(), pointwise(8, 8)
    plain = nn.Sequential(nn.Sequential(conv, shared, nn.Sigmoid(), conv, shared), shared).eval()
    fast, features = use_native(copy.deepcopy(plain)), last(1, 8, 5, 5)
    same(fast(features), plain(features))
    assert len(fast[0]) == 5
    assert not fast[0].training


@needs_kernels
def test_what_a_layer_keeps_is_not_replaced():
    gate = use_native(nn.Sequential(ChannelAttention(16)))[0]
    assert type(gate.module.fc1) is nn.Conv2d


@needs_kernels
def test_pickled_without_steps(monkeypatch):
    """They may be read where there are no kernels."""
    fast, features = use_native(chain()), last(1, 3, 24, 24)
    expected = fast(features)
    packed = pickle.dumps(fast)
    same(pickle.loads(packed)(features), expected)
    monkeypatch.setattr(kernels, "module", None)
    same(pickle.loads(packed)(features), expected)


def test_errors_loading_into_native_layers():
    """The kernels have their own copy of the weights."""
    layer = NativePointwiseConv2d.of(pointwise(4, 4))
    with pytest.raises(RuntimeError, match="load weights before `use_native`"):
        layer.load_state_dict(layer.state_dict())


@needs_kernels
def test_a_sequence_in_several_threads():
    """All at once call it for the first time, with several shapes."""
    plain = chain()
    fast = use_native(copy.deepcopy(plain))
    images = [last(1, 3, side, 24) for side in (24, 31, 40)] * 8
    expected = [plain(features) for features in images[:3]] * 8
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(fast, images))
    for result, wanted in zip(results, expected, strict=True):
        same(result, wanted)


@needs_kernels
def test_a_layer_inside_is_exchanged():
    """Sequences inside others run as one; a new layer in one of them is used at once."""
    layers = [nn.Conv2d(8, 8, 1), nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU()), nn.Conv2d(8, 4, 1)]
    plain = nn.Sequential(*layers).requires_grad_(False)
    fast, features = use_native(copy.deepcopy(plain)), last(1, 8, 9, 9)
    same(fast(features), plain(features))
    plain[1][0] = nn.Conv2d(8, 8, 1).requires_grad_(False)
    fast[1][0] = native_layer(plain[1][0], nn.ReLU())
    same(fast(features), plain(features))


@needs_kernels
def test_hooks_of_a_sequence_are_called():
    """An nn.Identity, too: it stands where the activation stood."""
    fast, features, seen = use_native(chain()), last(1, 3, 24, 24), []
    expected = fast(features)
    with fast[0][1].register_forward_hook(lambda *given: seen.append(given[2])):
        same(fast(features), expected)
    assert [out.shape for out in seen] == [(1, 24, 24, 24)]
    assert seen[0].amin() >= 0
    fast(features)
    assert len(seen) == 1
    with register_module_forward_hook(lambda module, given, out: seen.append(module)):
        fast(features)
    assert len(seen) == 1 + len(fast[0]) + 2
    with fast[0].register_forward_hook(lambda *given: seen.append("sequence inside")):
        same(fast(features), expected)
    assert seen[-1] == "sequence inside"
    fast(features)
    assert len(seen) == 1 + len(fast[0]) + 3
    hooked = chain()
    hooked[0].register_forward_hook(lambda *given: seen.append(None))
    use_native(hooked)(features)
    assert seen[-1] is None
