"""Each module equals its function with stored options."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from siamcorr import ops
from siamcorr.ops import modules

X = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
Z = torch.rand(2, 3, 4, 3, generator=torch.Generator().manual_seed(1))
SLIDING = {"padding": "same", "dilation": 2, "scale": 0.5, "method": "gemm"}
TABLE = {  # module: its function, a template, options
    "XCorrNaive": (ops.xcorr_naive, Z, SLIDING),
    "XCorrBatched": (ops.xcorr_batched, Z, SLIDING),
    "XCorrDepthwise": (ops.xcorr_depthwise, Z, SLIDING),
    "XCorrPixelwise": (ops.xcorr_pixelwise, Z, {"scale": 0.5}),
    "XCorrNormalized": (ops.xcorr_normalized, Z, {"method": "fft"}),
    "XCorrCircular": (ops.xcorr_circular, X.flip(0), {"scale": 0.5}),
    "XCorrMulti": (ops.xcorr_multi, torch.stack([Z, Z.flip(2)], 1), {"reduction": "max"}),
}
all_modules = pytest.mark.parametrize("name", TABLE)


def build(name: str, **options) -> nn.Module:
    return getattr(ops, name)(**options)


def test_table_is_complete():
    found = {name for name, value in vars(modules).items() if name.startswith("XCorr")}
    assert found == set(TABLE)
    assert found <= set(ops.__all__)


@all_modules
def test_reference(name):
    """With options and without; they change the response, so none may be lost."""
    function, template, options = TABLE[name]
    plain, module = build(name), build(name, **options)
    assert torch.equal(plain(X, template), function(X, template))
    response = module(X, template)
    assert torch.equal(response, function(X, template, **options))
    if set(options) != {"method"}:
        assert not torch.equal(response, plain(X, template))


@all_modules
def test_repr(name):
    options = TABLE[name][2]
    listed = ", ".join(f"{option}={value!r}" for option, value in options.items())
    assert repr(build(name, **options)) == f"{name}({listed})"
    assert repr(build(name)) == f"{name}()"


@all_modules
def test_owns_nothing(name):
    module = build(name, **TABLE[name][2])
    assert list(module.parameters()) == []
    assert list(module.buffers()) == []
    assert module.state_dict() == {}
    module.load_state_dict({})


@all_modules
def test_copies(name):
    _, template, options = TABLE[name]
    module = build(name, **options)
    expected = module(X, template)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(twin) == repr(module)
        assert torch.equal(twin(X, template), expected)


@all_modules
def test_gradients(name):
    function, template, options = TABLE[name]
    both = []
    for call in (build(name, **options), lambda x, z: function(x, z, **options)):
        x, z = X.clone().requires_grad_(), template.clone().requires_grad_()
        call(x, z).square().sum().backward()
        both.append((x.grad, z.grad))
    torch.testing.assert_close(both[0], both[1])


class Head(nn.Module):
    """A correlation between two backbones' features and a convolution."""

    def __init__(self, correlation: nn.Module) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 4, 3)
        self.correlation = correlation
        self.tail = nn.Sequential(nn.Conv2d(4, 2, 1), nn.ReLU())

    def forward(self, search: Tensor, template: Tensor) -> Tensor:
        return self.tail(self.correlation(self.backbone(search), self.backbone(template)))


def test_inside_a_network():
    net = Head(ops.XCorrDepthwise(padding="same"))
    assert "(correlation): XCorrDepthwise(padding='same')" in repr(net)
    assert not any("correlation" in key for key in net.state_dict())
    assert net(X, Z).shape == (2, 2, 7, 6)
    net.half()
    assert net(X.half(), Z.half()).dtype == torch.float16


def test_prepared_template():
    ready = ops.prepare(Z, (9, 8), padding="same")
    torch.testing.assert_close(
        ops.XCorrDepthwise()(X, ready), ops.xcorr_depthwise(X, Z, padding="same")
    )


@all_modules
@pytest.mark.parametrize("option", ["pading", "search", "template", "search_size"])
def test_errors(name, option):
    with pytest.raises(TypeError, match=f"^{name}: xcorr_.* has no option '{option}'"):
        build(name, **{option: 1})


def test_errors_come_from_the_function():
    with pytest.raises(ValueError, match=r"^xcorr_depthwise: padding must be"):
        ops.XCorrDepthwise(padding="full")(X, Z)
