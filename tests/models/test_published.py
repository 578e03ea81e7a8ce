"""Every preset: the published keys, in and out of a file, and a few frames with it."""

import ast
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from torch import nn

from siamcorr import Tracker
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import (
    Checkpoint,
    SiameseNetwork,
    build_model,
    convert,
    load_preset,
    load_weights,
    matching_preset,
    preset_names,
    read_checkpoint,
)
from siamcorr.models.registry import assemble

CLIP = [*render_clip(ClipConfig(frames=3, width=160, height=120, target=40))]
Shapes = dict[str, tuple[int, ...]]
# Sections of the reference listings, by number, and heads that follow from them.
NANOTRACK = {"nanotrack-v1": [0, 2], "nanotrack-v2": [0, 3], "nanotrack-v3": [0, 1, 4]}
PYSOT = {
    "siamrpnpp-alexnet": [0, 1],
    "siamrpnpp-resnet50": [2, 3, 4],
    "siamrpnpp-resnet50-lt": [2, 3, 4],
    "siamban-resnet50": [2, 3, 4],
    "siamrpnpp-mobilenetv2": [5, 6, 4],
}


def outline(name: str) -> SiameseNetwork:
    """The network of a preset without its numbers."""
    with torch.device("meta"):
        return assemble(load_preset(name))


def shapes(network: SiameseNetwork) -> Shapes:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def sections(path: Path) -> list[Shapes]:
    """Keys and shapes of each section of a reference listing, and what its title counts."""
    found: list[Shapes] = []
    for line in path.read_text().splitlines():
        if line.startswith("##"):
            found.append({})
        elif line.startswith("["):
            found[-1] |= dict(ast.literal_eval(line))
        elif found and line.startswith("   "):
            key, shape = line.strip().split(" ", 1)
            found[-1][key] = tuple(ast.literal_eval(shape))
    return found


def long_term(key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The long-term network is as wide behind the neck as 128, 256 and 512."""
    level = re.match(r"(?:neck\.downsample|rpn_head\.rpn)(\d)", key)
    return tuple(32 << int(level[1]) if s == 256 else s for s in shape) if level else shape


def anchor_free(key: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """SiamBAN's head is SiamRPN++'s with two scores and one box for each cell."""
    if not key.startswith("rpn_head."):
        return key, shape
    return key.replace("rpn_head.rpn", "head.box").replace("rpn_head", "head"), tuple(
        {10: 2, 20: 4}.get(s, s) for s in shape
    )


@pytest.mark.video
@pytest.mark.parametrize("name", [*NANOTRACK, *PYSOT])
def test_published_keys(name, shared):
    file = "nanotrack" if name in NANOTRACK else "pysot"
    listing = sections(shared / f"reference/state_dict_{file}.txt")
    expected: Shapes = {}
    for index in (NANOTRACK | PYSOT)[name]:
        expected |= listing[index]
    if name == "siamrpnpp-resnet50-lt":
        expected = {key: long_term(key, shape) for key, shape in expected.items()}
    elif name == "siamban-resnet50":
        expected = dict(anchor_free(key, shape) for key, shape in expected.items())
        expected["head.loc_scale"] = (3,)
    elif name == "siamrpnpp-mobilenetv2":  # its levels are not weighted
        del expected["rpn_head.cls_weight"], expected["rpn_head.loc_weight"]
    assert shapes(outline(name)) == expected


def test_published_keys_by_hand():
    """The two networks that no listing has."""
    convolutions = [(96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3)]
    expected: Shapes = {}
    for stage, shape in enumerate([*convolutions, (256, 192, 3, 3)], start=1):
        key = f"backbone.conv{stage}"
        expected |= {f"{key}.0.weight": shape, f"{key}.0.bias": shape[:1]}
        if stage < 5:
            norm = ("weight", "bias", "running_mean", "running_var")
            expected |= {f"{key}.1.{what}": shape[:1] for what in norm}
            expected[f"{key}.1.num_batches_tracked"] = ()
    assert len(expected) == 30
    assert shapes(outline("siamfc-alexnet")) == expected
    assert shapes(outline("dcfnet")) == {
        "backbone.feature.0.weight": (32, 3, 3, 3),
        "backbone.feature.0.bias": (32,),
        "backbone.feature.2.weight": (32, 32, 3, 3),
        "backbone.feature.2.bias": (32,),
    }


@pytest.mark.parametrize(
    ("name", "kernels", "logits", "boxes"),
    [  # of the template, and what a search gives
        ("dcfnet", [(32, 125, 125), (1, 125, 63)], (1, 125, 125), 0),
        ("siamfc-alexnet", [(256, 6, 6)], (1, 17, 17), 0),
        ("siamrpnpp-alexnet", [(256, 4, 4)] * 2, (10, 21, 21), 20),
        ("siamrpnpp-mobilenetv2", [(256, 5, 5)] * 6, (10, 25, 25), 20),
        ("siamrpnpp-resnet50", [(256, 5, 5)] * 6, (10, 25, 25), 20),
        ("siamrpnpp-resnet50-lt", [(c, 5, 5) for c in (128, 256, 512) * 2], (10, 25, 25), 20),
        ("siamban-resnet50", [(256, 5, 5)] * 6, (2, 25, 25), 4),
    ],
)
def test_published_shapes(name, kernels, logits, boxes):
    network = outline(name).eval()
    crop, meta = network.preset.crop, {"device": "meta"}
    template = network.template(torch.empty(1, 3, crop.template_size, crop.template_size, **meta))
    assert sorted(tuple(part.shape[1:]) for part in template) == sorted(kernels)
    assert {part.shape[0] for part in template} == {1}
    search = torch.empty(2, 3, crop.search_size, crop.search_size, **meta)
    prediction = network.search(search, template)
    assert prediction.logits.shape == (2, *logits)
    assert prediction.boxes.shape == (2, boxes, *logits[1:])


@pytest.mark.parametrize(
    ("name", "total"),
    [("nanotrack-v1", 287_966), ("nanotrack-v2", 334_078), ("nanotrack-v3", 541_446)],
)
def test_published_totals(name, total):
    assert sum(p.numel() for p in outline(name).parameters()) == total


# The long-term preset differs from siamrpnpp-resnet50 in the width of its neck.
@pytest.fixture(scope="module", params=sorted({*preset_names()} - {"siamrpnpp-resnet50-lt"}))
def published(request):
    """A checkpoint in a preset's published layout, with the numbers in it and their network."""
    torch.manual_seed(0)
    random = build_model(request.param)
    prefix = random.preset.weights.prefix
    numbers = random.state_dict()
    content = {f"module.{key.removeprefix(prefix)}": v for key, v in numbers.items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "published.pth"
        torch.save({"epoch": 19, "state_dict": content}, path)
        yield path, numbers, build_model(request.param, path)


def test_every_number_through_both_files(published):
    """The published file loads strictly, tells what it is, and its clean form is the same."""
    path, numbers, network = published
    clean = path.with_name("clean.safetensors")
    assert convert(path, clean) == []
    assert read_checkpoint(clean).metadata["preset"] == network.preset.name
    assert not network.training
    for loaded in (network.state_dict(), read_checkpoint(clean).state_dict):
        assert loaded.keys() == numbers.keys()
        assert all(torch.equal(value, numbers[key]) for key, value in loaded.items())


def test_a_few_frames(published):
    """With random weights the box wanders, but stays finite and about the frame."""
    network = published[2]
    tracker = Tracker(network)
    tracker.init(*CLIP[0])
    for image, _ in CLIP[1:2] if "resnet50" in network.preset.name else CLIP[1:]:
        result = tracker.update(image, response=True)
        x, y, w, h = result.box_xywh
        assert 0 <= x + w / 2 <= 160
        assert 0 <= y + h / 2 <= 120
        assert 10 <= w <= 160
        assert 10 <= h <= 120
        assert 0 <= result.score <= 1
        assert np.isfinite(result.response).all()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("siamfc-alexnet", "dcfnet"),
        ("dcfnet", "siamfc-alexnet"),
        ("nanotrack-v2", "nanotrack-v1"),
        ("siamrpnpp-resnet50", "siamban-resnet50"),
        ("siamrpnpp-mobilenetv2", "siamrpnpp-alexnet"),
        ("siamrpnpp-resnet50", "siamrpnpp-resnet50-lt"),
    ],
)
def test_weights_of_another_preset(name, other):
    """What is missing, unknown or misshapen is counted, and the preset that fits is named."""
    network, weights = outline(name), outline(other).state_dict()
    prefix = load_preset(other).weights.prefix
    own = {key.removeprefix(prefix): value for key, value in weights.items()}
    checkpoint = Checkpoint(Path("w.pth"), own)
    theirs = checkpoint.as_published(network.preset.weights)
    missing = [f"missing {key}" for key in network.state_dict() if key not in theirs]
    unknown = [f"unknown {key}" for key in theirs if key not in network.state_dict()]
    shapes = [
        f"{key} is {tuple(value.shape)}, not {tuple(wanted.shape)}"
        for key, wanted in network.state_dict().items()
        if key in theirs and (value := theirs[key]).shape != wanted.shape
    ]
    faults = missing + unknown + shapes
    assert len(faults) > 3
    text = f"not weights of {name}, they fit {other} ({'; '.join(faults[:3])}; and "
    with pytest.raises(ValueError, match=re.escape(f"{text}{len(faults) - 3} more)")):
        load_weights(network, checkpoint)


def test_weights_of_no_preset():
    weights = outline("dcfnet").state_dict()
    weights["backbone.feature.2.bias"] = torch.zeros(31)
    checkpoint = Checkpoint(Path("w.pth"), weights)
    assert matching_preset(checkpoint) is None
    text = r"they fit no known preset \(backbone.feature.2.bias is \(31,\), not \(32,\)\)"
    with pytest.raises(ValueError, match=text):
        load_weights(outline("dcfnet"), checkpoint)


@pytest.mark.parametrize("name", ["siamrpnpp-mobilenetv2", "siamfc-alexnet", "dcfnet"])
@torch.no_grad()
def test_many_targets_in_one_forward(name):
    """Stacked templates serve their own searches, and none leaves a trace in the network."""
    torch.manual_seed(0)
    network = build_model(name)
    sizes = network.preset.crop.template_size, min(network.preset.crop.search_size, 151)
    rough = torch.rand(2, 3, 9, 9) * 255
    z, x = (nn.functional.interpolate(rough, size, mode="bilinear") for size in sizes)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
    network.train()(x, z)  # so that norms know their features, and no random layer drowns them
    network.eval()
    templates = [network.template(z[b : b + 1]) for b in range(2)]
    alone = [network.search(x[b : b + 1], templates[b]) for b in range(2)]
    stacked = tuple(torch.cat(parts) for parts in zip(*templates, strict=True))
    together = network.search(x, stacked)
    swapped = network.search(x, tuple(part.flip(0) for part in stacked))
    for maps, wrong, *single in zip(together, swapped, *alone, strict=True):
        if maps.numel():
            close = {"rtol": 1e-3, "atol": 1e-3 * float(maps.std())}
            torch.testing.assert_close(maps, torch.cat(single), **close)
            assert not torch.allclose(maps, wrong, rtol=0.1, atol=0.1 * float(maps.std()))
    again = network.search(x[:1], templates[0])
    assert all(torch.equal(a, b) for a, b in zip(again, alone[0], strict=True))
