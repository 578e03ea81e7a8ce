"""ONNX: the graphs track like their network, and other files are refused."""

import errno
import json
import shutil
import sys
from dataclasses import replace
from functools import cache, partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from calibrated import calibrated
from torch import nn

from siamcorr import MultiTracker, Tracker
from siamcorr.adaptors import onnxruntime as adaptor
from siamcorr.adaptors.onnx import export_onnx
from siamcorr.adaptors.onnxruntime import OnnxNetwork, onnx_network
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import assemble, build_model, cache_dir, load_preset
from siamcorr.models.presets import configs_dir
from siamcorr.models.recipe import LongTermConfig

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CLIP = [*render_clip(ClipConfig(frames=6, width=160, height=120, target=40))]
PRESETS = {name: load_preset(name) for name in ("nanotrack-v2", "siamfc-alexnet")}
# One that would look around when lost, but with random weights is never sure enough to be it.
LONG_TERM = LongTermConfig(search_size=383, below=0.0)
# And none that holds its box because of it.
for _name, _preset in PRESETS.items():
    PRESETS[_name] = replace(_preset, recipe=replace(_preset.recipe, lost_below=0.0))
V2 = PRESETS["nanotrack-v2"]
PRESETS["nanotrack-v2"] = replace(V2, recipe=replace(V2.recipe, long_term=LONG_TERM))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """For a preset's name: a network, its OUT.onnx, the files written; each exported once."""

    @cache
    def export(name):
        network = calibrated(PRESETS[name], (CLIP[0][0], CLIP[5][0]))
        path = tmp_path_factory.mktemp(name) / "out.onnx"
        return network, path, export_onnx(network, path)

    return export


@pytest.fixture
def siamfc(graphs, tmp_path):
    """An OUT.onnx of one's own, to spoil."""
    for path in graphs("siamfc-alexnet")[2]:
        shutil.copy(path, tmp_path)
    return tmp_path / "out.onnx"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def boxes(network):
    tracker = Tracker(network)
    tracker.init(*CLIP[0])
    return [tracker.update(image).box_xywh for image, _ in CLIP[1:]]


@pytest.mark.parametrize("name", PRESETS)
def test_files_say_what_they_are(name, graphs):
    network, path, written = graphs(name)
    sizes = {"search-255", "search-383"} if name == "nanotrack-v2" else {"search-255"}
    assert {file.name for file in written} == {f"out-{what}.onnx" for what in sizes | {"template"}}
    assert sorted(written) == sorted(path.parent.iterdir())
    for file in written:
        (entry,) = (p for p in onnx.load(file).metadata_props if p.key == "siamcorr.preset")
        assert json.loads(entry.value)["name"] == name
    loaded = OnnxNetwork(path)
    assert loaded.preset == network.preset == PRESETS[name]
    assert loaded.device == torch.device("cpu")


@pytest.mark.parametrize("name", PRESETS)
def test_tracks_as_the_network(name, graphs):
    network, path, _ = graphs(name)
    expected = boxes(network)
    assert np.ptp(expected, axis=0).max() > 1  # it moves
    np.testing.assert_allclose(boxes(OnnxNetwork(path)), expected, atol=0.1)


@pytest.mark.parametrize("name", PRESETS)
def test_many_targets_as_the_network(name, graphs):
    """One image a target, and a pyramid of three."""
    network, path, _ = graphs(name)
    found = []
    for runner in (network, OnnxNetwork(path)):
        tracker = MultiTracker(runner)
        for box in (CLIP[0][1], (10, 20, 50, 30), (90, 60, 30, 40)):
            tracker.add(CLIP[0][0], box)
        results = [tracker.update(image) for image, _ in CLIP[1:]]
        found.append([[result.box_xywh for result in row.values()] for row in results])
    np.testing.assert_allclose(found[1], found[0], atol=0.1)


def test_images_that_are_no_multiple_of_the_batch(graphs):
    loaded = OnnxNetwork(graphs("siamfc-alexnet")[1])
    template = loaded.template(torch.zeros(1, 3, 127, 127))
    with pytest.raises(ValueError, match="4 images are not a multiple of its graph's batch of 3"):
        loaded.search(torch.zeros(4, 3, 255, 255), template)


def test_batches_are_checked(graphs):
    """As the network does; and nothing in is nothing out."""
    network, path, _ = graphs("nanotrack-v2")
    loaded = OnnxNetwork(path)
    one = loaded.template(torch.zeros(1, 3, 127, 127))
    images = torch.zeros(4, 3, 255, 255)
    for count in (2, 6):
        templates = tuple(part.expand(count, *part.shape[1:]) for part in one)
        with pytest.raises(ValueError, match=f"must be 1 or that of the images, got {count} for 4"):
            loaded.search(images, templates)
    for found, expected in zip(
        loaded.search(images[:0], one), network.search(images[:0], one), strict=True
    ):
        assert found.shape == expected.shape
    for shape in ((3, 3, 127, 127), (1, 3, 128, 128)):
        with pytest.raises(ValueError, match=r"takes a template \(1, 3, 127, 127\), got "):
            loaded.template(torch.zeros(shape))


def test_every_size(graphs):
    network, path, _ = graphs("nanotrack-v2")
    loaded = OnnxNetwork(path)
    image = 255 * torch.rand(1, 3, 127, 127, generator=torch.Generator().manual_seed(0))
    ours, theirs = loaded.template(image), network.template(image)
    for one, other in zip(ours, theirs, strict=True):
        assert (one - other).norm() <= 1e-3 * other.norm()
    for size in (255, 383):
        search = nn.functional.interpolate(image, size).to(memory_format=torch.channels_last)
        pairs = zip(loaded.search(search, ours), network.search(search, theirs), strict=True)
        for one, other in pairs:
            assert one.shape == other.shape
            assert (one - other).norm() <= 1e-3 * other.norm()
    with pytest.raises(ValueError, match=r"no graph for 300 pixels, only \[255, 383\]"):
        loaded.search(torch.zeros(1, 3, 300, 300), ours)


def test_threads(siamfc):
    for threads, count in ((None, torch.get_num_threads()), (2, 2)):
        options = OnnxNetwork(siamfc, threads)._template.session.get_session_options()
        assert options.intra_op_num_threads == count


def test_any_name(siamfc):
    """No character of a file's name stands for others."""
    for path in siamfc.parent.iterdir():
        path.rename(path.with_name(path.name.replace("out", "run[2]*")))
    assert OnnxNetwork(siamfc.with_name("run[2]*.onnx")).preset.name == "siamfc-alexnet"
    with pytest.raises(FileNotFoundError):
        OnnxNetwork(siamfc.with_name("run2.onnx"))


def test_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^dcfnet: its template is a complex spectrum"):
        export_onnx(build_model("dcfnet"), tmp_path / "out.onnx")
    for use in (lambda path: export_onnx(build_model("nanotrack-v1"), path), OnnxNetwork):
        with pytest.raises(ValueError, match=r"out\.pb: the name must end in \.onnx"):
            use(tmp_path / "out.pb")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("gone", ["out-template.onnx", "out-search-255.onnx", "*"])
def test_missing_files(gone, siamfc):
    for path in siamfc.parent.glob(gone):
        path.unlink()
    text = r"out\.onnx: no out-template\.onnx and out-search-\*\.onnx beside it"
    with pytest.raises(FileNotFoundError, match=text):
        OnnxNetwork(siamfc)


@pytest.mark.parametrize("name", ["out-template.onnx", "out-search-255.onnx"])
def test_no_graph(name, siamfc):
    siamfc.with_name(name).write_text("no graph")
    with pytest.raises(ValueError, match=rf"{name}: not an ONNX graph \(.*\)$"):
        OnnxNetwork(siamfc)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "has no preset in its metadata"),
        ('{"name": "x", "abut": "y"}', "unknown key 'abut', did you mean 'about'"),
    ],
)
def test_no_preset(value, text, siamfc):
    path = siamfc.with_name("out-template.onnx")
    model = onnx.load(path)
    del model.metadata_props[:]
    if value:
        onnx.helper.set_model_props(model, {"siamcorr.preset": value})
    onnx.save(model, path)
    with pytest.raises(ValueError, match=rf"out-template\.onnx: {text}"):
        OnnxNetwork(siamfc)


@pytest.mark.parametrize("good", [0, 1])
def test_full_disk_leaves_what_was_there(good, siamfc, monkeypatch):
    """Of the pair, too: half of a new one beside half of an old one would track anything."""
    before, calls = contents(siamfc.parent), []

    def save(model, path):
        path.write_bytes(b"some of it")
        calls.append(path)
        if len(calls) > good:
            raise OSError(errno.ENOSPC, "No space left on device")

    files = (f"out-{part}.onnx" for part in ("template", "search-255"))
    programs = (SimpleNamespace(model_proto=onnx.load(siamfc.with_name(file))) for file in files)
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: next(programs))
    monkeypatch.setattr(onnx, "save", save)
    network = assemble(PRESETS["siamfc-alexnet"])
    with pytest.raises(OSError, match="No space left"):
        export_onnx(network, siamfc)
    assert len(calls) == good + 1
    assert contents(siamfc.parent) == before
    assert all(module.training for module in network.modules())  # as it was given


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_not_installed(name, siamfc, monkeypatch):
    before = contents(siamfc.parent)
    monkeypatch.setitem(sys.modules, name, None)
    network = build_model("siamfc-alexnet")
    use = OnnxNetwork if name == "onnxruntime" else partial(export_onnx, network)
    with pytest.raises(ModuleNotFoundError, match=rf"\b{name}\b"):
        use(siamfc)
    assert contents(siamfc.parent) == before


def test_checkpoint_is_exported_once(graphs, tmp_path, monkeypatch):
    network, path, written = graphs("siamfc-alexnet")
    """As long as both weights and preset are the same."""
    weights = [tmp_path / name for name in ("w.pth", "renamed.pth", "other.pth")]
    torch.save(network.state_dict(), weights[0])
    shutil.copy(weights[0], weights[1])
    torch.save(assemble(network.preset).state_dict(), weights[2])
    exported = []

    def export(given, target, _):
        exported.append(given)
        for file in written:
            shutil.copy(file, target.with_name(file.name.replace("out", target.stem)))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(adaptor, "export_onnx", export)
    assert onnx_network("anything", path).preset == network.preset
    assert not exported
    for file in weights[:2]:  # known by what is in it
        assert onnx_network("siamfc-alexnet", file).preset == network.preset
    assert len(exported) == 1
    state = exported[0].state_dict()
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    onnx_network("siamfc-alexnet", weights[2])
    assert len(exported) == 2
    own = tmp_path / "own.toml"
    text = (configs_dir() / "siamfc-alexnet.toml").read_text()
    own.write_text(text.replace("window = 0.176", "window = 0.2"))
    for _ in range(2):
        onnx_network(str(own), weights[0])
    assert [given.preset.recipe.window for given in exported] == [0.176, 0.176, 0.2]
    assert len([*cache_dir().iterdir()]) == 6
    monkeypatch.setattr(adaptor, "__version__", "0")  # another version may write other graphs
    onnx_network("siamfc-alexnet", weights[0])
    assert len(exported) == 4
