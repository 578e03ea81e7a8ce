"""What depends on the template alone runs once, in the template graph; the maps stay the same."""

import numpy as np
import pytest

from siamcorr.adaptors.onnx_template_work import move_template_work

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

HEADER = '<ir_version: 8, opset_import: ["" : 18]> '
TEMPLATE = """t (float[N, 2, 4] image) => (float[N, 2, 4] template_0, float[N, 4, 2] template_1) {
    template_0 = Relu(image)
    template_1 = Transpose <perm = [0, 2, 1]> (image)
}"""


def moved(search):
    """The two graphs as models, before and after; search is the body of a graph in ONNX's text."""
    inputs = "(float[N, 2, 4] image, float[N, 2, 4] template_0, float[N, 4, 2] template_1)"
    text = f"{HEADER} s {inputs} => (float[N, 2, 2] logits, float[N, 2, 4] boxes) {search}"
    models = [onnx.parser.parse_model(body) for body in (HEADER + TEMPLATE, text)]
    models[1] = onnx.shape_inference.infer_shapes(models[1])
    after = move_template_work(*models)
    for model in after:
        onnx.checker.check_model(model)
    return models, after


def maps(models, count):
    """What the two graphs compute from random images."""
    sessions = [
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for model in models
    ]
    crop, image = np.random.default_rng(0).normal(size=(2, count, 2, 4)).astype(np.float32)
    names = [output.name for output in sessions[0].get_outputs()]
    assert names == [entry.name for entry in sessions[1].get_inputs()[1:]]
    template = dict(zip(names, sessions[0].run(None, {"image": crop}), strict=True))
    return sessions[1].run(None, {"image": image, **template})


def kinds(model):
    return [node.op_type for node in model.graph.node]


def same_maps(before, after):
    for count in (1, 3):
        for one, other in zip(maps(before, count), maps(after, count), strict=True):
            np.testing.assert_array_equal(one, other)


def test_moved():
    """Chains of nodes move, with their constants; a tensor that is used as it is stays."""
    before, after = moved("""<float[4, 4] weight = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}> {
        squared = Mul(template_0, template_0)
        shifted = MatMul(squared, weight)
        scaled = MatMul(image, weight)
        logits = MatMul(scaled, template_1)
        sum = Add(image, shifted)
        boxes = Add(sum, template_0)
    }""")
    assert kinds(after[0]) == [*kinds(before[0]), "Mul", "MatMul"]
    assert kinds(after[1]) == ["MatMul", "MatMul", "Add", "Add"]
    assert [entry.name for entry in after[1].graph.input] == [
        "image", "template_0", "template_1", "template_2",
    ]  # fmt: skip
    same_maps(before, after)


def test_all_of_a_tensor_moves():
    """Of a tensor that only moved nodes need, nothing is passed on."""
    before, after = moved("""{
        flipped = Transpose <perm = [0, 2, 1]> (template_1)
        logits = MatMul(image, template_1)
        sum = Relu(template_0)
        both = Add(sum, flipped)
        boxes = Add(image, both)
    }""")
    assert kinds(after[1]) == ["MatMul", "Add"]
    assert len(after[1].graph.input) == 3  # the image, template_1 and `both`
    same_maps(before, after)


def test_batch_first():
    """A tensor whose first dimension is not the batch stays in the search graph."""
    before, after = moved("""{
        doubled = Add(template_0, template_0)
        apart = Transpose <perm = [1, 0, 2]> (doubled)
        squared = Mul(apart, apart)
        image_apart = Transpose <perm = [1, 0, 2]> (image)
        product = Mul(image_apart, squared)
        boxes = Transpose <perm = [1, 0, 2]> (product)
        logits = MatMul(image, template_1)
    }""")
    assert kinds(after[0]) == [*kinds(before[0]), "Add"]
    assert kinds(after[1]) == ["Transpose", "Mul", "Transpose", "Mul", "Transpose", "MatMul"]
    same_maps(before, after)


def test_other_types():
    """Between the graphs everything is float32: a cast to another type stays."""
    before, after = moved("""{
        doubled = Add(template_0, template_0)
        wide = Cast <to = 11> (doubled)
        wide_image = Cast <to = 11> (image)
        sum = Add(wide_image, wide)
        boxes = Cast <to = 1> (sum)
        logits = MatMul(image, template_1)
    }""")
    assert kinds(after[0]) == [*kinds(before[0]), "Add"]
    assert kinds(after[1]) == ["Cast", "Cast", "Add", "Cast", "MatMul"]
    same_maps(before, after)


def test_nothing_to_move():
    before, after = moved("""{
        logits = MatMul(image, template_1)
        boxes = Add(image, template_0)
    }""")
    assert after == tuple(before)
