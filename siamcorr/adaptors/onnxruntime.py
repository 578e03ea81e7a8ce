"""Run exported graphs with onnxruntime, as a network for `Tracker`."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from glob import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siamcorr import __version__
from siamcorr.adaptors.onnx import KEY, ExportOptions, export_onnx, graph_paths
from siamcorr.layers import Prediction
from siamcorr.models import Preset, Template, build_model, cache_dir, load_preset
from siamcorr.models.checkpoints import sha256
from siamcorr.models.config import from_mapping

Say = Callable[[str], None]


class OnnxNetwork:
    """Exported graphs that onnxruntime runs on the CPU; `Tracker` accepts it as a network.

    Args:
        path: the path OUT.onnx that was given to `export_onnx`.
        threads: onnxruntime's threads; None is torch's number.

    Raises:
        ModuleNotFoundError: onnxruntime is not installed.
        OSError: a file is missing.
        ValueError: a file is not a graph from `export_onnx`.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        template, search = graph_paths(Path(path))
        found = sorted(template.parent.glob(f"{escape(search)}*.onnx"))
        if not template.is_file() or not found:
            raise FileNotFoundError(f"{path}: no {template.name} and {search}*.onnx beside it")
        count = threads or torch.get_num_threads()
        self._template = _Graph(template, count)
        graphs = [_Graph(graph, count) for graph in found]
        self._search = {graph.image_shape[-1]: graph for graph in graphs}
        self.preset = self._template.preset()
        self.device = torch.device("cpu")

    def template(self, image: Tensor) -> Template:
        """Compute what `search` needs from one template image (1, 3, h, w).

        Raises:
            ValueError: there is more than one image, or its size is wrong.
        """
        shape = (1, *self._template.image_shape[1:])  # one image also for dynamic batches
        if image.shape != shape:
            got = tuple(image.shape)
            raise ValueError(f"OnnxNetwork: its graph takes a template {shape}, got {got}")
        return tuple(self._template.run([image]))

    def search(self, image: Tensor, template: Template) -> Prediction:
        """Search for templates (batch N or 1) in search images (N, 3, H, W).

        A graph with a dynamic batch runs once, a graph with a fixed batch once per batch.

        Raises:
            ValueError: this image size was not exported; N is not a multiple of the graph's
                batch; the template batch is neither 1 nor N.
        """
        size = image.shape[-1]
        if size not in self._search:
            raise ValueError(f"OnnxNetwork: no graph for {size} pixels, only {[*self._search]}")
        graph = self._search[size]
        fixed = graph.image_shape[0]
        any_batch = not isinstance(fixed, int)  # a dynamic batch has a name
        count = max(1, len(image)) if any_batch else fixed
        if len(image) % count:
            text = f"{len(image)} images are not a multiple of its graph's batch of {count}"
            raise ValueError(f"OnnxNetwork: {text}")
        batches = {len(part) for part in template}
        if not batches <= {1, len(image)}:
            raise ValueError(
                f"OnnxNetwork: the template batch must be 1 or that of the images, "
                f"got {max(batches)} for {len(image)}"
            )
        maps = []
        for first in range(0, len(image), count):
            if any_batch:
                rows = [
                    part if len(part) == count else part.expand(count, *part.shape[1:])
                    for part in template
                ]
            else:
                rows = [part[first : first + 1] if len(part) > 1 else part for part in template]
            maps.append(graph.run([image[first : first + count], *rows]))
        if not maps:
            return Prediction(*(torch.empty(0, *shape[1:]) for shape in graph.map_shapes))
        logits, boxes = maps[0] if len(maps) == 1 else map(torch.cat, zip(*maps, strict=True))
        return Prediction(logits, boxes)


def silent(text: str) -> None:
    """Ignore the text."""


def onnx_network(name: str, weights: Path, say: Say = silent) -> OnnxNetwork:
    """Load graphs as a network; a checkpoint is exported once and its graphs are cached.

    Args:
        name: preset of a checkpoint.
        weights: OUT.onnx, or a .pth or .safetensors file. The key of the cached graphs is a hash
            of siamcorr's version, preset and file.
        say: called before an export.
    """
    if weights.suffix == ".onnx":
        return OnnxNetwork(weights)
    preset = load_preset(name)
    made_from = __version__ + sha256(weights) + json.dumps(asdict(preset))
    key = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    path = cache_dir() / f"{preset.name}-{key}-any.onnx"
    if not graph_paths(path)[0].is_file():
        say(f"{name}: exporting graphs for onnxruntime, once")
        path.parent.mkdir(parents=True, exist_ok=True)
        # A dynamic batch costs no time, and many targets need one run only.
        export_onnx(build_model(name, weights), path, ExportOptions(dynamic_batch=True))
    return OnnxNetwork(path)


class _Graph:
    """A graph's session, with the names and shapes that every call needs."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path, self.session = path, _session(path, threads)
        inputs = self.session.get_inputs()
        self.names = [entry.name for entry in inputs]
        self.image_shape = inputs[0].shape
        self.map_shapes = [entry.shape for entry in self.session.get_outputs()]

    def run(self, tensors: list[Tensor]) -> list[Tensor]:
        """Compute the outputs for the inputs, in the graph's order."""
        arrays = [tensor.contiguous().numpy() for tensor in tensors]
        outputs = self.session.run(None, dict(zip(self.names, arrays, strict=True)))
        return [torch.from_numpy(array) for array in outputs]

    def preset(self) -> Preset:
        """The preset in the graph's metadata.

        Raises:
            ValueError: there is none.
        """
        text = self.session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is None:
            text = f"{self.path}: has no preset in its metadata; export it with siamcorr export"
            raise ValueError(text)
        return from_mapping(Preset, json.loads(text), self.path.name)


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait would take the cores from torch and OpenCV.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes, which are not documented
        raise ValueError(f"{path}: not an ONNX graph ({str(error).splitlines()[0]})") from None
