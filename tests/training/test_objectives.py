"""Objectives: what is learnt from whom, and what a teacher that is wrong teaches."""

import math
from dataclasses import replace

import pytest
import torch

from siamcorr.layers.heads.lite import LiteMaps
from siamcorr.models import assemble, load_preset
from siamcorr.training.cell_points import cell_points
from siamcorr.training.config import TeacherConfig
from siamcorr.training.feature_objectives import FeatureObjective, StageObjective
from siamcorr.training.imitation import ChannelError
from siamcorr.training.inner_maps import capture_outputs
from siamcorr.training.objectives import make_objective, measure_features
from siamcorr.training.pair_objective import PairObjective, teacher_agrees, teacher_loss
from siamcorr.training.pairs import Pair
from siamcorr.training.teacher import Teacher, TeacherOutput

STUDENT = load_preset("siamcorr-lite")
BOX = torch.tensor([[96.0, 96.0, 160.0, 160.0]])


ONE = torch.ones(1)


def student():
    torch.manual_seed(0)
    return assemble(STUDENT)


def teacher():
    torch.manual_seed(1)
    return Teacher(assemble(load_preset("nanotrack-v2")).eval(), STUDENT)


def pair(batch=2, present=1.0, marked=1.0):
    generator = torch.Generator().manual_seed(0)
    template, search = (
        255 * torch.rand(batch, 3, size, size, generator=generator) for size in (127, 255)
    )
    box = BOX.expand(batch, 4)
    return Pair(template, search, box, *(torch.full((batch,), v) for v in (present, marked)))


def maps_of(box, logit=0.0):
    """Student's maps in which every cell predicts the same box."""
    points = cell_points(17, 16, 255)
    left, top, right, bottom = box[0]
    sides = [points[0] - left, points[1] - top, right - points[0], bottom - points[1]]
    logits = torch.full((1, 1, 17, 17), logit, requires_grad=True)
    return LiteMaps(logits, torch.stack(sides)[None], torch.zeros(1, 1, 17, 17))


def said(box, score):
    boxes = box[0][None, :, None, None].expand(1, 4, 17, 17)
    nothing = torch.zeros(1)
    return TeacherOutput(nothing, nothing, score, boxes)


def peak(height=0.9):
    score = torch.zeros(1, 17, 17)
    score[0, 8, 8] = height
    return score


def test_score_and_box_of_the_teacher_cost_nothing_once_learnt():
    score = peak()
    maps = maps_of(BOX)
    sure = torch.full((1, 1, 17, 17), 20.0)
    learnt = LiteMaps(score.clamp(1e-6, 1).logit()[:, None], maps.boxes, sure)
    same = teacher_loss(learnt, said(BOX, score), ONE, 16, 255)
    assert same.item() == pytest.approx(0, abs=1e-5)
    beside = said(BOX + torch.tensor([4.0, 0.0, 4.0, 0.0]), score)
    doubtful = learnt._replace(quality=torch.zeros(1, 1, 17, 17))
    shifted = teacher_loss(doubtful, beside, ONE, 16, 255)
    assert shifted.item() == pytest.approx(0.9 * (1 - 60 / 68 + math.log(2) / 2), abs=1e-3)
    doubled = teacher_loss(doubtful, beside, ONE, 16, 255, boxes=2)
    assert (doubled - shifted).item() == pytest.approx(0.9 * (1 - 60 / 68), abs=1e-3)
    assert teacher_loss(maps, said(BOX, score), ONE, 16, 255) > 0.1
    assert teacher_loss(maps, said(BOX, score), 0 * ONE, 16, 255) == 0


@pytest.mark.parametrize("case", ["elsewhere", "absent"])
def test_a_teacher_who_is_wrong_teaches_nothing(case):
    box = BOX + 80 if case == "elsewhere" else BOX
    shown = pair(1, present=0.0 if case == "absent" else 1.0)
    assert teacher_agrees(said(box, peak()), shown) == 0
    assert teacher_agrees(said(BOX, peak()), pair(1)) == 1


def test_a_teacher_that_is_always_used():
    """Pairs that nobody marked cost nothing but what the teacher says of them."""
    torch.manual_seed(2)
    network, shown = student(), pair(present=0.0, marked=0.0)
    losses = [
        PairObjective(network, teacher(), maps=1.0, always=always)(shown)
        for always in (False, True)
    ]
    assert losses[0]["taught"] == 0
    assert losses[1]["taught"] > 0
    assert all(losses[1][name] == 0 for name in ("score", "box", "quality"))
    torch.testing.assert_close(losses[1]["total"], losses[1]["taught"])


def test_an_absent_target_overrules_the_teacher():
    objective = PairObjective(student(), teacher(), maps=1.0, always=True)
    assert objective(pair(present=1.0))["taught"] > 0
    assert objective(pair(present=0.0))["taught"] == 0


def test_inner_maps_of_an_absent_target_do_not_count():
    """The loss of a batch with such a pair is that of the other pair alone."""
    objective = PairObjective(student().eval(), teacher(), inner=1.0, layers=LAYERS)
    both = pair()
    objective.measure_inner(both)
    mixed = both._replace(present=torch.tensor([1.0, 0.0]))
    alone = objective(Pair(*(part[:1] for part in both)))
    torch.testing.assert_close(objective(mixed)["inner"], alone["inner"], rtol=1e-4, atol=1e-4)
    assert objective(pair(present=0.0))["inner"] == 0


def test_total_is_the_weighted_sum():
    objective = PairObjective(student(), teacher(), marks=0.5, features=2.0, maps=3.0)
    losses = objective(pair())
    marked = losses["score"] + 2 * losses["box"] + 0.5 * losses["quality"]
    wanted = 0.5 * marked + 2 * losses["features"] + 3 * losses["taught"]
    torch.testing.assert_close(losses["total"], wanted)
    assert {*objective.columns} | {"total"} == {*losses}


LAYERS = {
    "score_cells": ("corr_pw_cls",),
    "tower.0": ("cls_pw_tower.3",),
    "tower.1": ("cls_pw_tower.7", "bbox_pw_tower.7"),
}
FORCED = {
    "score_cells": ("corr_pw_cls",),
    "tower.1": ("cls_pw_tower.7", "bbox_pw_tower.7"),
    "tower.2": ("cls_pw_tower.11", "bbox_pw_tower.11"),
}


def test_inner_maps_are_learnt_layer_by_layer():
    """The mean over the layers of the error against the teacher's own modules, put together."""
    network, asked = student(), teacher()
    objective = PairObjective(network.eval(), asked, inner=2.0, layers=LAYERS)
    assert [loss.adapter.out_channels for loss in objective.inner] == [64, 96, 192]
    objective.measure_inner(pair())
    with (
        capture_outputs(network.head, [*LAYERS]) as own,
        capture_outputs(
            asked.network.head, [name for several in LAYERS.values() for name in several]
        ) as theirs,
    ):
        losses = objective(pair())
    errors = []
    for (name, several), loss in zip(LAYERS.items(), objective.inner, strict=True):
        wanted = torch.cat([theirs[each] for each in several], dim=1)
        mean = wanted.mean(dim=(0, 2, 3))[:, None, None]
        deviation = wanted.std(dim=(0, 2, 3))
        least = 1e-3 * deviation.square().mean().sqrt()
        deviation = deviation.clamp(min=least)[:, None, None]
        normed = (wanted - mean) / deviation
        errors.append((loss.adapter(own[name]) - normed).square().mean())
    torch.testing.assert_close(losses["inner"], sum(errors) / 3, rtol=1e-3, atol=1e-3)
    marked = losses["score"] + 2 * losses["box"] + 0.5 * losses["quality"]
    torch.testing.assert_close(losses["total"], marked + 2 * losses["inner"])
    losses["inner"].backward()
    assert network.head.tower[1][0].weight.grad.any()
    assert network.head.pred.weight.grad is None


@torch.no_grad()
def theirs_by_hand(asked, batch):
    """The teacher's maps for `FORCED`, each channel divided by its deviation; 1 if it is dead."""
    several = [name for names in FORCED.values() for name in names]
    with capture_outputs(asked.network.head, several) as seen:
        asked.pair(batch.search, batch.template, 16)
    maps = [torch.cat([seen[name] for name in names], dim=1) for names in FORCED.values()]
    scaled = []
    for map_ in maps:
        deviation, size = map_.std(dim=(0, 2, 3)), map_.square().mean(dim=(0, 2, 3)).sqrt()
        least = 0.1 * deviation.square().mean().sqrt()
        deviation = torch.maximum(deviation.clamp(min=least), 0.3 * size)
        scaled.append(map_ / deviation[:, None, None])
    return scaled


def test_forced_layers_receive_the_maps_of_the_teacher():
    """The error of each is that of its module alone, run on the teacher's maps."""
    network, asked = student(), teacher()
    objective = PairObjective(network.eval(), asked, inner=1.0, layers=FORCED, forced=True)
    objective.measure_inner(pair())
    losses = objective(pair())
    cells, first, second = theirs_by_hand(asked, pair())
    head, batch = network.head, pair()
    with torch.no_grad():
        with capture_outputs(head, ["score_cells", "tower.0"], {"score_cells": cells}) as own:
            network(batch.search, batch.template)
        ran = own["score_cells"], head.tower[1](own["tower.0"]), head.tower[2](first)
        wanted = cells, first, second
        errors = [(a - b).square().mean() for a, b in zip(ran, wanted, strict=True)]
    torch.testing.assert_close(losses["inner"], sum(errors) / 3, rtol=2e-3, atol=1e-4)


def test_the_loss_of_a_forced_layer_ends_at_the_layer_before():
    """Where the error is in one block alone, no other block has a gradient from it."""
    network, asked = student(), teacher()
    objective = PairObjective(network.eval(), asked, 0.0, inner=1.0, layers=FORCED, forced=True)
    objective.measure_inner(pair())
    objective(pair())["total"].backward()
    grads = [block[0].weight.grad for block in network.head.tower]
    assert all(grad.any() for grad in grads[1:3])
    assert not grads[3].any()
    before = grads[1].clone()
    network.zero_grad()
    network.head.tower[2][0].weight.data.mul_(3)  # changes the loss of this block alone
    objective(pair())["total"].backward()
    torch.testing.assert_close(network.head.tower[1][0].weight.grad, before)


def test_forced_layers_must_be_alike():
    layers = {"tower.1": ("cls_pw_tower.7",)}
    with pytest.raises(ValueError, match=r"tower.1 has 192 channels, the teacher's 96"):
        PairObjective(student(), teacher(), inner=1.0, layers=layers, forced=True)
    with pytest.raises(ValueError, match="forced needs layers"):
        TeacherConfig("nanotrack-v2", forced=True)


@pytest.mark.parametrize("layers", [{"nothing": ("cls_pw_tower.3",)}, {"tower.0": ("nothing",)}])
def test_layers_that_are_not_there(layers):
    with pytest.raises(ValueError, match=r"^layers: .*nothing"):
        PairObjective(student(), teacher(), inner=1.0, layers=layers)


@pytest.mark.parametrize("shares", [{"inner": 1.0}, {"layers": LAYERS}, {"inner": -1.0}])
def test_inner_and_layers_go_together(shares):
    with pytest.raises(ValueError, match=r"inner"):
        TeacherConfig("nanotrack-v2", **shares)


def test_without_a_teacher_there_are_marks_alone():
    objective = PairObjective(student())
    assert objective.imitation is None
    assert {*objective(pair())} == {"score", "box", "quality", "total"}


def test_features_leave_the_head_alone():
    objective = FeatureObjective(student(), teacher())
    losses = objective(pair().template)
    losses["total"].backward()
    assert all(p.grad is None for p in objective.network.head.parameters())
    assert all(p.grad is not None for p in objective.network.backbone.parameters())
    assert all(p.grad is not None for p in objective.imitation.parameters())


def stage_pair():
    """A student with the teacher's stages, and the teacher."""
    return student(), teacher()


def test_equal_stages_have_no_error():
    """Crops are in the student's RGB, the teacher reads BGR."""
    network, asked = stage_pair()
    network.backbone.load_state_dict(asked.network.backbone.state_dict())
    stem = network.backbone.features[0][0].weight
    stem.data = stem.data.flip(1)
    objective = StageObjective(network.eval(), asked)
    objective.measure(pair().template)
    losses = objective(pair().template)
    assert losses["total"] < 1e-6
    assert {*objective.columns} | {"total"} == {*losses}


def test_some_stages_learn_alone():
    """Their error is that of all stages without the others'; these have no gradient."""
    network, asked = stage_pair()
    every = StageObjective(network.eval(), asked)
    some = StageObjective(network, asked, [1, 4])
    single = [StageObjective(network, asked, [index]) for index in (1, 4)]
    crops = pair().template
    for objective in (every, some, *single):
        objective.measure(crops)
    wanted = [objective(crops)["total"] for objective in single]
    some.freeze()
    total = some(crops)["total"]
    torch.testing.assert_close(total, sum(wanted))
    assert every(crops)["total"] > total > 0
    total.backward()
    stages = enumerate(network.backbone.features)
    learnt = [n for n, stage in stages if all(p.grad is not None for p in stage.parameters())]
    assert learnt == [1, 4]
    every.freeze()
    assert all(p.requires_grad for p in network.backbone.parameters())


@pytest.mark.parametrize("stages", [[9], [-1]])
def test_no_stage_of_that_number(stages):
    with pytest.raises(ValueError, match=r"^stages must be in 0\.\.8, got"):
        StageObjective(student(), teacher(), stages)


def test_a_stage_learns_from_the_output_of_the_teacher():
    """A broken stage has an error, those behind it have none."""
    network, asked = stage_pair()
    network.backbone.load_state_dict(asked.network.backbone.state_dict())
    stem = network.backbone.features[0][0].weight
    stem.data = stem.data.flip(1)
    network.backbone.features[3].conv[0].weight.data.zero_()
    objective = StageObjective(network.eval(), asked)
    objective.measure(pair().template)
    objective(pair().template)["total"].backward()
    reached = [
        any(p.grad is not None and p.grad.abs().max() > 1e-4 for p in stage.parameters())
        for stage in network.backbone.features
    ]
    assert reached == [False] * 3 + [True] + [False] * 5
    assert all(p.grad is None for p in network.head.parameters())


def test_error_of_a_channel_is_relative_to_its_deviation():
    error = ChannelError(3)
    maps = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    maps = maps * torch.tensor([1.0, 5.0, 0.0])[:, None, None] + 7
    error.measure(maps)
    spread = maps.std(dim=(0, 2, 3))
    usual = spread.square().mean().sqrt()
    limit = [spread[0], spread[1], usual / 10]
    for channel, deviation in enumerate(limit):
        other = maps.clone()
        other[:, channel] += 0.3
        wanted = (0.3 / deviation) ** 2 / 3
        torch.testing.assert_close(error(other, maps), wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenetv3-small-wide", "alexnet"])
def test_stages_of_other_shapes_are_refused(name):
    preset = replace(STUDENT, network=replace(STUDENT.network, backbone=name))
    with pytest.raises(ValueError, match=r"^siamcorr-lite: its (stages|backbone)"):
        StageObjective(assemble(preset), teacher())


def test_a_frozen_backbone_gets_no_gradient_and_says_the_same():
    network = student()
    network.backbone.requires_grad_(False)
    network.eval()
    objective = PairObjective(network)
    plain = objective(pair())["total"]
    objective.freeze()
    frozen = objective(pair())["total"]
    torch.testing.assert_close(frozen, plain, rtol=1e-3, atol=1e-4)
    frozen.backward()
    assert all(p.grad is None for p in network.backbone.parameters())


def test_the_teacher_is_no_part_of_what_is_learnt():
    objective = PairObjective(student(), teacher(), features=1.0, maps=1.0)
    own = sum(p.numel() for p in objective.network.parameters())
    own += sum(p.numel() for p in objective.imitation.parameters())
    assert sum(p.numel() for p in objective.parameters()) == own


def test_only_our_head_is_trained(config):
    network = assemble(load_preset("nanotrack-v2"))
    with pytest.raises(ValueError, match=r"^nanotrack-v2: its head cannot be trained"):
        make_objective(network, config)


def test_statistics_are_the_same_every_time(library):
    class Ones:
        def __getitem__(self, index):
            return torch.full((3, 127, 127), index % 256, dtype=torch.uint8)

    objectives = [FeatureObjective(student(), teacher()) for _ in range(2)]
    for objective in objectives:
        measure_features(objective, Ones())
    first, second = (objective.imitation for objective in objectives)
    assert torch.equal(first.mean, second.mean)
    assert (first.deviation > 0).all()
    assert first.mean.abs().sum() > 0


@pytest.mark.parametrize(
    "change", [{"learns": "features"}, {"learns": "stages"}, {"learns": "all"}, {"marks": -1.0}]
)
def test_runs_that_make_no_sense(change, config):
    with pytest.raises(ValueError, match=r"teacher|learns must be|marks and boxes must be"):
        replace(config, **change)
