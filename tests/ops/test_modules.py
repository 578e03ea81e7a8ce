"""Module forms: the function, its options, and nothing else."""

import copy
import pickle

import pytest
import torch

from siamcorr import ops

PAIRS = {
    ops.XCorrNaive: (ops.xcorr_naive, (3, 4, 3, 3), {"padding": "same", "scale": 0.5}),
    ops.XCorrBatched: (ops.xcorr_batched, (2, 8, 3, 3), {"dilation": 2, "method": "gemm"}),
    ops.XCorrDepthwise: (ops.xcorr_depthwise, (1, 4, 3, 3), {"padding": 1}),
    ops.XCorrPixelwise: (ops.xcorr_pixelwise, (2, 4, 3, 3), {"scale": 2.0}),
    ops.XCorrNormalized: (ops.xcorr_normalized, (2, 4, 3, 3), {"method": "conv"}),
    ops.XCorrCircular: (ops.xcorr_circular, (2, 4, 9, 8), {"scale": 3.0}),
    ops.XCorrMulti: (ops.xcorr_multi, (2, 5, 4, 3, 3), {"reduction": "max"}),
}
all_modules = pytest.mark.parametrize("module", PAIRS, ids=lambda module: module.__name__)


@all_modules
def test_equals_its_function(module):
    function, shape, options = PAIRS[module]
    search, template = torch.randn(2, 4, 9, 8), torch.randn(shape)
    assert torch.equal(module(**options)(search, template), function(search, template, **options))
    assert torch.equal(module()(search, template), function(search, template))


@all_modules
def test_repr_shows_the_options(module):
    options = PAIRS[module][2]
    text = repr(module(**options))
    assert text.startswith(f"{module.__name__}(")
    for name, value in options.items():
        assert f"{name}={value!r}" in text


@all_modules
def test_unknown_option(module):
    with pytest.raises(TypeError, match=rf"{module.__name__}: xcorr_\w+ has no option 'stride'"):
        module(stride=2)


@all_modules
def test_owns_nothing_and_copies(module):
    function, shape, options = PAIRS[module]
    made = module(**options)
    assert list(made.parameters()) == []
    assert made.state_dict() == {}
    search, template = torch.randn(2, 4, 9, 8), torch.randn(shape)
    expected = function(search, template, **options)
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(twin(search, template), expected)
