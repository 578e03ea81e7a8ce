"""for_inference: the same maps from a faster copy without gradients."""

import copy
import shutil

import pytest
import torch
from torch import nn

from siamcorr.layers import CrossCorrelationHead, LitePixelwiseHead
from siamcorr.layers.heads.lite_folded import FoldedPixelwiseHead
from siamcorr.models import SiameseNetwork, build_model, for_inference, load_preset
from siamcorr.models.inference import fuse_network

CASES = {"nanotrack-v2": True, "siamrpnpp-mobilenetv2": True, "dcfnet": False}  # channels last?


def images(network, count=2):
    """Smooth pictures of the preset's sizes, other ones for each side."""
    generator, crop = torch.Generator().manual_seed(1), network.preset.crop
    sides = ((9, crop.template_size), (17, crop.search_size))
    rough = [255 * torch.rand(count, 3, n, n, generator=generator) for n, _ in sides]
    smooth = [
        nn.functional.interpolate(picture, size, mode="bilinear")
        for picture, (_, size) in zip(rough, sides, strict=True)
    ]
    return [picture.to(network.mean.dtype) for picture in smooth]


def calibrated(name):
    """Random weights, and norms whose four parameters all differ from 0 and 1."""
    torch.manual_seed(0)
    network = build_model(name).train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
            nn.init.normal_(norm.weight, 1.0, 0.2)
            nn.init.normal_(norm.bias, 0.0, 0.2)
    z, x = images(network)
    with torch.no_grad():
        network(x, z)
    return network.eval()


@torch.no_grad()
def maps(network):
    z, x = images(network, 1)
    template = network.template(z)
    return *template, *network.search(x, template)


def distances(ours, theirs):
    """Relative, map by map."""
    filled = [pair for pair in zip(ours, theirs, strict=True) if pair[1].numel()]
    assert all(one.shape == other.shape and other.std() > 0 for one, other in filled)
    return torch.stack([(one - other).norm() / other.norm() for one, other in filled])


@pytest.fixture(scope="module", params=CASES)
def network(request):
    return calibrated(request.param)


def test_same_maps(network):
    """In float64 up to rounding; in float32 with about the error of the network itself."""
    single = maps(network), maps(for_inference(network))
    double = copy.deepcopy(network).double()
    exact = maps(double)
    assert (distances(maps(for_inference(double)), exact) < 1e-11).all()
    own, ours = (distances(found, exact) for found in single)
    assert (ours <= 4 * own + 1e-6).all()


def test_norms_gradients_and_layout(network):
    fast = for_inference(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    assert not any(module.training for module in fast.modules() if type(module) is nn.Conv2d)
    last = CASES[network.preset.name]
    square = [p for p in fast.parameters() if p.dim() == 4 and min(p.shape) > 1]
    assert square  # where the two orders differ
    for weight in square:
        assert weight.is_contiguous(memory_format=torch.channels_last) == last
        assert weight.is_contiguous() != last


@pytest.mark.parametrize("training", [False, True])
def test_original_is_left_alone(training):
    """Also a network in training mode does not change; its copy is in eval mode."""
    network = calibrated("nanotrack-v2").double()
    expected = maps(network)
    before = copy.deepcopy(network.state_dict())
    fast = for_inference(network.train(training))
    assert (distances(maps(fast), expected) < 1e-11).all()
    assert all(module.training == training for module in network.modules())
    assert all(p.requires_grad and p.is_contiguous() for p in network.parameters())
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in after.items())
    own = {value.data_ptr() for value in after.values()}
    assert own.isdisjoint(value.data_ptr() for value in fast.state_dict().values())


def test_of_its_own_result():
    network = calibrated("nanotrack-v2").double()
    again = for_inference(for_inference(network))
    assert (distances(maps(again), maps(network)) < 1e-11).all()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what torch.compile itself imports
def test_compiled():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 5, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3)
    preset = load_preset("siamfc-alexnet")
    network = SiameseNetwork(preset, nn.Sequential(*layers), CrossCorrelationHead()).eval()
    fast = for_inference(network, compiled=True)
    assert (distances(maps(fast), maps(network)) < 1e-5).all()
    for part in ("backbone", "head"):
        assert getattr(fast, part)._compiled_call_impl is not None
        assert getattr(network, part)._compiled_call_impl is None


@pytest.mark.parametrize("name", ["nanotrack-v2", "siamcorr-lite"])
@torch.no_grad()
def test_early_layers_take_a_batch_in_parts(name):
    """Images keep their order; the later layers take the whole batch."""
    network = calibrated(name).double()
    fast, (_, search) = for_inference(network), images(network, 11)
    early, late = fast.backbone.features
    taken = []
    for part in (early.layers, late):
        part.register_forward_pre_hook(lambda _, inputs: taken.append(len(inputs[0])))
    torch.testing.assert_close(fast.backbone(search), network.backbone(search))
    assert sum(taken[:-1]) == taken[-1] == 11
    assert max(taken[:-1]) == early.images < 11
    again = for_inference(fast).backbone.features
    assert [len(part.layers if part is again[0] else part) for part in again] == [
        len(early.layers),
        len(late),
    ]
    assert type(for_inference(network, compiled=True).backbone.features[0]) is nn.Sequential


@torch.no_grad()
def test_folded_head():
    """A head with a folded form takes it; others keep theirs, whose norms alone are folded."""
    network = calibrated("siamcorr-lite")
    fused = fuse_network(network)
    assert type(fused.head) is type(fuse_network(fused).head) is FoldedPixelwiseHead
    assert type(network.head) is LitePixelwiseHead
    z, x = images(network)
    found = fused.search(x, fused.template(z))
    assert distances(found, network.search(x, network.template(z))).max() < 1e-5
    other = build_model("nanotrack-v2")
    assert type(fuse_network(other).head) is type(other.head)
