"""Every head by one table: shapes, pairing, dtypes, layouts, gradients; then what each computes."""

from typing import NamedTuple

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from siamcorr.layers import heads


class Case(NamedTuple):
    """A small head's arguments, what goes in and what comes out."""

    arguments: tuple
    search: tuple[int, int]
    template: tuple[int, int]
    logits: int  # channels; 3 anchors where there are any
    boxes: int
    cells: tuple[int, int]
    kernels: int  # tensors that template(...) returns


CASES = {
    "CrossCorrelationHead": Case((), (9, 8), (6, 4), 1, 0, (4, 5), 1),
    "UpChannelHead": Case((4, 3), (24, 24), (6, 6), 6, 12, (19, 19), 2),
    "DepthwiseAnchorHead": Case((4, 6, 3), (11, 12), (7, 7), 6, 12, (5, 6), 2),
    "DepthwiseBoxHead": Case((4, 6), (31, 31), (7, 7), 2, 4, (25, 25), 2),
    "AsymmetricHead": Case((4, 6), (11, 12), (7, 7), 2, 4, (5, 6), 2),
    "LiteHead": Case((4, 6), (16, 16), (8, 8), 1, 4, (17, 17), 2),
    "LitePixelwiseHead": Case((4, (6,), 2), (16, 16), (8, 8), 1, 4, (16, 16), 3),
    "MatrixHead": Case((4, 6, 2), (11, 12), (7, 7), 1, 4, (5, 6), 6),
    "MultiLevelAnchorHead": Case(([4, 3], 3), (11, 12), (7, 7), 6, 12, (5, 6), 4),
    "MultiLevelBoxHead": Case(([4, 3],), (11, 12), (7, 7), 2, 4, (5, 6), 4),
    "PixelwiseHead": Case((4, 6, 12, 2), (7, 8), (3, 4), 2, 4, (7, 8), 2),
    "SharedPixelwiseHead": Case((4, 12), (7, 8), (3, 4), 2, 4, (7, 8), 1),
    "PixelwiseDepthwiseHead": Case((4, 64, 1), (16, 16), (8, 8), 2, 4, (15, 15), 4),
}
LEVELS = ["MultiLevelAnchorHead", "MultiLevelBoxHead"]
every = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def head(name, randomized) -> nn.Module:
    """The head of that name, random in every tensor, float64, eval."""
    return randomized(getattr(heads, name)(*CASES[name].arguments))


def features(name: str, size: tuple[int, int], batch: int, seed: int, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(seed)
    maps = [
        torch.randn(batch, width, *size, generator=generator, dtype=torch.float64).to(dtype)
        for width in ([4, 3] if name in LEVELS else [4])
    ]
    return maps if name in LEVELS else maps[0]


def search(name: str, batch: int = 2, dtype: torch.dtype = torch.float64):
    return features(name, CASES[name].search, batch, 1, dtype)


def target(name: str, batch: int = 2, dtype: torch.dtype = torch.float64, seed: int = 2) -> tuple:
    """What `template` takes: features, and for the asymmetric head a size too."""
    z = features(name, CASES[name].template, batch, seed, dtype)
    size = torch.rand(batch, 2, generator=torch.Generator().manual_seed(seed)) * 40
    return (z, size.to(dtype)) if name == "AsymmetricHead" else (z,)


def sample(maps, b: int):
    """One of the batch, in every tensor."""
    return tree_map(lambda level: level[b : b + 1], maps)


def assert_close(prediction, expected):
    torch.testing.assert_close(tuple(prediction), tuple(expected), rtol=1e-8, atol=1e-9)


def test_table_is_complete():
    assert set(CASES) == set(heads.__all__) - {"Prediction"}


@every
@torch.no_grad()
def test_shapes(head, name):
    case = CASES[name]
    template = head.template(*target(name))
    assert isinstance(template, tuple)
    assert [part.shape[0] for part in template] == [2] * case.kernels
    prediction = head(search(name), template)
    assert isinstance(prediction, heads.Prediction)
    assert prediction.logits.shape == (2, case.logits, *case.cells)
    assert prediction.boxes.shape == (2, case.boxes, *case.cells)
    assert prediction.logits.std() > 0
    if case.boxes:
        assert (prediction.boxes > 0).all() == (case.boxes == 4)


@every
@torch.no_grad()
def test_targets_in_one_forward(head, name):
    """Templates side by side along the batch: every search meets its own."""
    targets = [target(name, 1, seed=seed) for seed in (5, 6)]
    templates = [head.template(*one) for one in targets]
    stacked = tuple(torch.cat(parts) for parts in zip(*templates, strict=True))
    together = head(search(name), stacked)
    for b in range(2):
        assert_close(sample(together, b), head(sample(search(name), b), templates[b]))
    at_once = tree_map(lambda a, b: torch.cat([a, b]), *targets)
    assert_close(head.template(*at_once), stacked)


@every
@torch.no_grad()
def test_one_template_for_three_searches(head, name):
    x, template = search(name, 3), head.template(*target(name, 1))
    prediction = head(x, template)
    assert_close(head(x, tuple(z.expand(3, *z.shape[1:]) for z in template)), prediction)
    for b in range(3):
        assert_close(sample(prediction, b), head(sample(x, b), template))


@every
@torch.no_grad()
def test_keeps_no_state(head, name):
    """Another target in between changes nothing, and no input is written to."""
    attributes = {key for module in head.modules() for key in vars(module)}
    state = {key: value.clone() for key, value in head.state_dict().items()}
    x, one = search(name), target(name)
    template = head.template(*one)
    kept = tuple(part.clone() for part in template)
    before = head(x, template)
    head(x, head.template(*target(name, seed=9)))
    same = [(head(x, template), before), (template, kept), ((x, one), (search(name), target(name)))]
    for after, expected in (*same, (dict(head.state_dict()), state)):
        torch.testing.assert_close(after, expected, rtol=0, atol=0)
    assert {key for module in head.modules() for key in vars(module)} == attributes


@every
@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_parameter(head, unreached, name, training):
    """Those of both sides, and both inputs; in training too, with a batch of two."""
    head.train(training)
    x, one = tree_map(lambda tensor: tensor.requires_grad_(), (search(name), target(name)))
    prediction = head(x, head.template(*one))
    assert all(part.isfinite().all() for part in prediction)
    (prediction.logits.square().sum() + prediction.boxes.square().sum()).backward()
    assert unreached(head) == []
    assert all(tensor.grad.any() for tensor in tree_leaves((x, one)))


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@torch.no_grad()
def test_dtype(head, name, dtype):
    head.to(dtype)
    template = head.template(*target(name, dtype=dtype))
    prediction = head(search(name, dtype=dtype), template)
    assert {part.dtype for part in (*template, *prediction)} == {dtype}
    exact = head.double()(search(name), head.template(*target(name))).logits
    limit = 1e-5 if dtype == torch.float32 else 0.1
    assert (prediction.logits.double() - exact).norm() < limit * exact.norm()


@every
@torch.no_grad()
def test_channels_last(head, name):
    def last(level: Tensor) -> Tensor:
        image = level.dim() == 4  # a target's size is none
        return level.contiguous(memory_format=torch.channels_last) if image else level

    x, one = tree_map(last, (search(name), target(name)))
    expected = head(search(name), head.template(*target(name)))
    assert_close(head(x, head.template(*one)), expected)


@pytest.mark.parametrize("name", ["CrossCorrelationHead", "UpChannelHead", LEVELS[1]])
@torch.no_grad()
def test_compile(head, name):
    x, one = search(name), target(name)
    for function, inputs in ((head.template, one), (head, (x, head.template(*one)))):
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        assert_close(compiled(*inputs), function(*inputs))


@pytest.mark.parametrize("scale", [0.001, 0.5])
def test_cross_correlation_head(scale):
    torch.manual_seed(0)
    x, z = torch.randn(3, 4, 9, 8).double(), torch.randn(1, 4, 6, 4).double()
    head = heads.CrossCorrelationHead(scale)
    torch.testing.assert_close(head(x, head.template(z)).logits, F.conv2d(x, z) * scale)
    assert repr(head) == f"CrossCorrelationHead(scale={scale})"
    assert list(head.state_dict()) == []


@pytest.mark.parametrize("name", ["UpChannelHead"])
@torch.no_grad()
def test_up_channel_head(head, name):
    """Sample by sample: the template's widened features are the weights of a convolution."""

    def branch(side: str, outputs: int) -> Tensor:
        kernels = getattr(head, f"template_{side}_conv")(*target(name))
        adapted = getattr(head, f"search_{side}_conv")(search(name))
        own = (kernel.reshape(outputs, 4, 4, 4) for kernel in kernels)
        return torch.stack([F.conv2d(a, k) for a, k in zip(adapted, own, strict=True)])

    weight, bias = head.loc_adjust.weight[:, :, 0, 0], head.loc_adjust.bias[:, None, None]
    boxes = torch.einsum("oc,bchw->bohw", weight, branch("loc", 12)) + bias
    assert_close(head(search(name), head.template(*target(name))), (branch("cls", 6), boxes))


def pixelwise(head: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    return head.corr_pw.CA_layer(reference.pixelwise(x, z))


def twofold(head: nn.Module, side: str, x: Tensor, z: Tensor) -> Tensor:
    """The whole template pixel-wise, its middle depthwise on a search with a border of zeros."""
    whole, middle = (getattr(head, f"corr_{form}_{side}") for form in ("pw", "dw"))
    border = F.pad(middle.conv_search(x), (1, 1, 1, 1))
    slid = reference.depthwise(border, middle.conv_kernel(z[:, :, 2:6, 2:6]))
    cells = reference.pixelwise(whole.conv_search(x), whole.conv_kernel(z))
    return getattr(head, f"down_{side}")(torch.cat([whole.conv(whole.CA_layer(cells)), slid], 1))


BRANCHES = {  # head: its logits, its boxes' exponents
    "DepthwiseBoxHead": (lambda h, x, z: (h.cls(x, h.cls.kernel(z)), h.loc(x, h.loc.kernel(z)))),
    "AsymmetricHead": (
        lambda h, x, z, size: (h.cls(x, h.cls.kernel(z, size)), h.loc(x, h.loc.kernel(z, size)))
    ),
    "MatrixHead": lambda h, x, z: (
        0.1 * h.cls_pred(h.cls_tower(h.cls_dw(h.cls_encode(x), h.cls_encode.kernel(z)))),
        h.adjust * h.bbox_pred(h.bbox_tower(h.reg_dw(h.reg_encode(x), h.reg_encode.kernel(z))))
        + h.bias,
    ),
    "PixelwiseHead": lambda h, x, z: (
        h.cls_pred(h.cls_pw_tower(h.corr_pw_cls(x, h.corr_pw_cls.kernel(z)))),
        h.bbox_pred(h.bbox_pw_tower(h.corr_pw_reg(x, h.corr_pw_reg.kernel(z)))),
    ),
    "SharedPixelwiseHead": lambda h, x, z: (
        h.cls_logits(h.cls_tower(pixelwise(h, x, z))),
        h.bbox_pred(h.bbox_tower(pixelwise(h, x, z))),
    ),
    "PixelwiseDepthwiseHead": lambda h, x, z: (
        h.cls_logits(h.cls_tower(twofold(h, "cls", x, z))),
        h.bbox_pred(h.bbox_tower(twofold(h, "reg", x, z))),
    ),
}


@pytest.mark.parametrize("name", BRANCHES)
@torch.no_grad()
def test_branches(head, name):
    """Score and box each by the parts of its name; distances are exponents of what comes out."""
    x, one = search(name), target(name)
    logits, exponents = BRANCHES[name](head, x, *one)
    assert_close(head(x, head.template(*one)), (logits, exponents.exp()))


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("weighted", [True, False])
@torch.no_grad()
def test_levels(head, name, weighted):
    """Each level's maps weighed by softmax or averaged; distances are made positive before."""
    x, (z,) = search(name), target(name)
    parts = [getattr(head, f"{'rpn' if name == LEVELS[0] else 'box'}{level}") for level in (2, 3)]
    alone = [p(a, p.template(b)) for p, a, b in zip(parts, x, z, strict=True)]
    logits, boxes = zip(*alone, strict=True)
    if name == LEVELS[1]:
        assert head.loc_scale[0] != head.loc_scale[1]
        boxes = [(box * scale).exp() for box, scale in zip(boxes, head.loc_scale, strict=True)]
    shares = [torch.tensor([0.5, 0.5])] * 2
    if weighted:
        shares = [w.exp() / w.exp().sum() for w in (head.cls_weight, head.loc_weight)]
        assert not torch.allclose(*shares)  # score and box are weighed apart
    else:
        head.cls_weight = head.loc_weight = None
        plain = getattr(heads, name)(*CASES[name].arguments, weighted=False).double().eval()
        plain.load_state_dict(head.state_dict())
        head = plain
    expected = [a[0] * m[0] + a[1] * m[1] for a, m in zip(shares, (logits, boxes), strict=True)]
    assert_close(head(x, head.template(z)), expected)


@pytest.mark.parametrize("name", LEVELS)
def test_levels_must_be_as_many(head, name):
    with pytest.raises(ValueError, match="zip"):
        head.template(target(name)[0][:1])
    with pytest.raises(ValueError, match="zip"):
        head(search(name)[:1], head.template(*target(name)))
