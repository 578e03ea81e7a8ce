"""Every network as a graph for every runtime, and in every form that export can write."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from calibrated import calibrated
from pairs import skip_before

from siamcorr import MultiTracker
from siamcorr.adaptors.onnx import ExportOptions, export_onnx
from siamcorr.adaptors.onnx_opset import lower_opset
from siamcorr.adaptors.onnxruntime import OnnxNetwork
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import load_preset

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CLIP = [*render_clip(ClipConfig(frames=6, width=160, height=120, target=40))]
# One of each head but dcfnet's, which works on spectra, and that of nanotrack-v2, see test_onnx.py.
NAMES = ["nanotrack-v3", "siamban-resnet50", "siamcorr-lite", "siamfc-alexnet", "siamrpnpp-alexnet"]
NETWORKS = {}


def preset_of(name):
    """Of that name; SiamBAN with another backbone and two of three levels, for speed."""
    preset = load_preset(name)
    if preset.network.backbone != "resnet50":
        return preset
    smaller = {"backbone": "mobilenetv2", "levels": (3, 5), "neck": (256, 256)}
    network = replace(preset.network, **smaller)
    return replace(preset, network=network)


def network_of(name):
    """Made once; only the last is kept, for some are large."""
    if name == "siamcorr-lite":
        skip_before((2, 9), "no export of a norm that cannot be folded")
    if name not in NETWORKS:
        NETWORKS.clear()
        NETWORKS[name] = calibrated(preset_of(name), (CLIP[0][0], CLIP[5][0]))
    return NETWORKS[name]


def exported(network, folder, **options):
    path = folder / "out.onnx"
    return path, export_onnx(network, path, ExportOptions(**options))


def odd_convolutions(path):
    """How many Conv have a weight that is no constant."""
    graph = onnx.load(path).graph
    constants = {entry.name for entry in graph.initializer}
    return sum(n.op_type == "Conv" and n.input[1] not in constants for n in graph.node)


def crops(preset):
    """A template and a search image of the clip."""
    frame = torch.from_numpy(CLIP[0][0]).permute(2, 0, 1)[None].float()
    sizes = preset.crop.template_size, preset.crop.search_size
    return [torch.nn.functional.interpolate(frame, size) for size in sizes]


def by_opencv(written, template, search):
    """What cv2.dnn makes of the two graphs: logits, and boxes if there are any."""
    first, second = (cv2.dnn.readNetFromONNX(str(path)) for path in written[:2])
    kernels = [entry.name for entry in onnx.load(written[0]).graph.output]
    first.setInput(template.numpy(), "image")
    found = first.forward(kernels)
    second.setInput(search.numpy(), "image")
    for name, value in zip(kernels, found, strict=True):
        second.setInput(value, name)
    maps = second.forward(["logits", "boxes"])
    return [value for value in maps if value is not None]  # maps of no channels


def near(found, expected, share):
    """Maps that differ by at most a share of what they are."""
    for one, other in zip(found, expected, strict=False):
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape
        assert np.isfinite(one).all()
        assert np.linalg.norm(one - other) <= share * np.linalg.norm(other)


def targets(preset, template, search):
    """As the fixed graphs of one target take them."""
    count = preset.recipe.scales.count if preset.recipe.kind == "scales" else 1
    return template, search.expand(count, -1, -1, -1).contiguous()


def compare(name, folder, share=1e-3, **options):
    """Export, and hold both runtimes against the network; OpenCV 4 cannot read all of them.

    Returns:
        The files written.
    """
    network = network_of(name)
    path, written = exported(network, folder, **options)
    template, search = targets(network.preset, *crops(network.preset))
    with torch.no_grad():
        expected = network.search(search, network.template(template))
    loaded = OnnxNetwork(path)
    near(loaded.search(search, loaded.template(template)), expected, share)
    if int(cv2.__version__.partition(".")[0]) > 4:
        near(by_opencv(written, template, search), expected, share)
    return written


@pytest.mark.parametrize("name", NAMES)
def test_every_runtime(name, tmp_path):
    """No Conv is odd; onnxruntime and OpenCV compute what the network does."""
    written = compare(name, tmp_path)
    assert [odd_convolutions(file) for file in written] == [0] * len(written)
    for file in written:  # nothing of the machine that wrote it
        nodes = onnx.load(file, load_external_data=False).graph.node
        assert not any(entry.value for node in nodes for entry in node.metadata_props)


def is_of_opset(path, opset):
    model = onnx.load(path)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [opset]
    onnx.checker.check_model(model, full_check=True)


def test_products_of_a_newer_opset(tmp_path):
    """No convolution has the template as its weight; an opset that the exporter does not write."""
    written = compare("siamfc-alexnet", tmp_path, correlation="matmul", opset=20)
    assert [odd_convolutions(file) for file in written] == [0, 0]
    for file in written:
        is_of_opset(file, 20)


@pytest.mark.parametrize("opset", [-1, 12, 1000])
def test_no_such_opset(opset, tmp_path):
    with pytest.raises(ValueError, match=rf"opset {opset}: graphs can be written in 13 to \d\d, "):
        exported(network_of("nanotrack-v3"), tmp_path, opset=opset)
    assert not [*tmp_path.iterdir()]


def test_what_an_older_opset_lacks():
    """Is refused by name, not written wrong."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    one, other = (helper.make_tensor_value_info(name, number, [1, 2, 4, 4]) for name in "xy")
    for kind, options in (("GroupNormalization", {"num_groups": 1}), ("Mish", {})):
        node = helper.make_node(kind, ["x", "s", "b"][: 3 if options else 1], ["y"], **options)
        graph = helper.make_graph([node], "g", [one], [other])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        with pytest.raises(ValueError, match=f"opset 16: {kind} cannot be written in it"):
            lower_opset(model, 16)


def test_a_part_of_a_shape_in_an_older_opset():
    """Was not known before 15; a whole shape was."""
    helper, kinds = onnx.helper, onnx.TensorProto
    one = helper.make_tensor_value_info("x", kinds.FLOAT, [1, 2, 4, 4])
    for options, sizes in (({}, 4), ({"start": 0, "end": 1}, 1)):
        other = helper.make_tensor_value_info("y", kinds.INT64, [sizes])
        graph = helper.make_graph(
            [helper.make_node("Shape", ["x"], ["y"], **options)], "g", [one], [other]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        if options:
            with pytest.raises(ValueError, match="opset 13: Shape cannot be written in it"):
                lower_opset(model, 13)
        else:
            lower_opset(model, 13)
            assert model.opset_import[0].version == 13


def test_half_with_convolutions(tmp_path):
    """Half as large, with float32 going in and coming out; one Conv has the template as weight."""
    written = compare("siamcorr-lite", tmp_path, share=5e-2, half=True, correlation="conv")
    assert [odd_convolutions(file) for file in written] == [0, 1]
    for file in written:
        graph = onnx.load(file).graph
        numbers = sum(math.prod(entry.dims) for entry in graph.initializer)
        assert 2 * numbers < file.stat().st_size < 3 * numbers
        for entry in (*graph.input, *graph.output):
            assert entry.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize(("name", "opset"), [("siamrpnpp-alexnet", 13), ("siamfc-alexnet", 18)])
def test_dynamic_batch(name, opset, tmp_path):
    """One run for all targets, each with its own template; and none is none."""
    network = network_of(name)
    path, written = exported(network, tmp_path, dynamic_batch=True, opset=opset)
    for file in written:
        is_of_opset(file, opset)
        sides = [e.type.tensor_type.shape.dim[0] for e in onnx.load(file).graph.input]
        (name_of_batch,) = {side.dim_param for side in sides}
        assert name_of_batch
    loaded = OnnxNetwork(path)
    _, search = crops(network.preset)
    images = torch.cat([search.roll(shift, 3) for shift in (0, 40, 80, 120)])
    side = network.preset.crop.template_size
    templates = images[..., :side, :side].contiguous()
    for count in (1, 3, 0):
        with torch.no_grad():
            theirs = network.search(images[:count], network.template(templates[:count]))
        kernels = [loaded.template(templates[i : i + 1]) for i in range(count)]
        ours = tuple(torch.cat(parts) for parts in zip(*kernels, strict=True))
        near(loaded.search(images[:count], ours or loaded.template(templates[:1])), theirs, 1e-3)
    with torch.no_grad():  # one template for all
        theirs = network.search(images, network.template(templates[:1]))
    near(loaded.search(images, loaded.template(templates[:1])), theirs, 1e-3)
    tracks_many(network, path)


def tracks_many(network, path):
    """The boxes of several targets are those of the network."""
    found = []
    for runner in (network, OnnxNetwork(path)):
        tracker = MultiTracker(runner)
        for box in (CLIP[0][1], (10, 20, 50, 30)):
            tracker.add(CLIP[0][0], box)
        rows = [tracker.update(image) for image, _ in CLIP[1:]]
        found.append([[result.box_xywh for result in row.values()] for row in rows])
    np.testing.assert_allclose(found[1], found[0], atol=0.1)
