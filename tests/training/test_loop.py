"""The loop: what is trained when and how fast, and that resumed runs equal uninterrupted ones."""

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from siamcorr.models import assemble, load_preset
from siamcorr.training.config import DataConfig, TrainConfig
from siamcorr.training.loop import Trainer, save
from siamcorr.training.objectives import measure_features
from siamcorr.training.optimizer import learning_rate, moving_average
from siamcorr.training.pair_objective import PairObjective
from siamcorr.training.pairs import PairDataset
from siamcorr.training.processes import Processes
from siamcorr.training.teacher import Teacher


class Recorded(PairDataset):
    """A dataset that knows which pairs it was asked for."""

    def __getitem__(self, index):
        self.asked.append(index)
        return super().__getitem__(index)


def trainer(library, config, seed=0, processes=None):
    torch.manual_seed(seed)
    network = assemble(load_preset(config.model))
    dataset = Recorded(library, network.preset, config.data, config.pairs, config.seed)
    dataset.asked = []
    return Trainer(network, dataset, config, processes or Processes())


def snapshot(run):
    return deepcopy(run.state())


def flat(state):
    """The tensors and numbers of a state by their place in it."""
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {
            f"{key}/{below}": value for key, part in items for below, value in flat(part).items()
        }
    return {"": state}


def assert_same(one, other):
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for key, value in one.items():
        same = torch.equal(value, other[key]) if torch.is_tensor(value) else value == other[key]
        assert same, key


def part(state, *words, but=()):
    """The network's tensors whose keys hold all of the words."""
    return {
        key: value
        for key, value in state["network"].items()
        if all(word in key for word in words) and not any(word in key for word in but)
    }


@pytest.fixture(scope="module")
def whole(library, pictures):
    """A run that nobody interrupts: its config, its states after each epoch, and its steps."""
    data = DataConfig((str(pictures),))
    config = TrainConfig(
        *("siamcorr-lite", "out", data), epochs=2, pairs=4, batch=2, warmup=1, unfreeze=1, workers=0
    )
    run = trainer(library, config)
    states, steps, weights = [snapshot(run)], [], []
    for _ in range(2):
        for step in run.run_epoch():
            steps.append(step)
            weights.append(deepcopy((run.network.state_dict(), run.averaged.state_dict())))
        states.append(snapshot(run))
    return config, states, steps, weights, run.dataset.asked


def test_killed_and_resumed_is_the_same_as_not_killed(whole, library, tmp_path):
    """Weights, moving average, optimizer, schedule; from a network that began elsewhere."""
    config, states, steps, _, _ = whole
    save(tmp_path / "last.pt", states[1])
    run = trainer(library, config, seed=5)
    run.resume(tmp_path / "last.pt")
    assert run.epoch == 1
    assert_same(run.state(), states[1])
    assert list(run.run_epoch()) == steps[2:]
    assert_same(run.state(), states[2])
    assert run.dataset.asked == whole[4][4:]


def taught(library, config):
    """A trainer whose network has a teacher: all three signals."""
    torch.manual_seed(9)
    teacher = assemble(load_preset("nanotrack-v2")).eval()
    torch.manual_seed(0)
    network = assemble(load_preset(config.model))
    dataset = PairDataset(library, network.preset, config.data, config.pairs, config.seed)
    objective = PairObjective(network, Teacher(teacher, network.preset), features=1.0, maps=1.0)
    measure_features(objective, dataset)
    return Trainer(network, dataset, replace(config, norms=True), Processes(), objective)


def test_a_run_with_a_teacher_resumes_too(library, config, tmp_path):
    """With its imitation and the backbone's norms."""
    run = taught(library, config)
    list(run.run_epoch())
    save(tmp_path / "last.pt", run.state())
    assert {*run.state()["imitation"]} == {"adapter.weight", "adapter.bias", "mean", "deviation"}
    list(run.run_epoch())
    again = taught(library, config)
    again.resume(tmp_path / "last.pt")
    list(again.run_epoch())
    assert_same(again.state(), run.state())


def test_norms_are_trained_if_configured(library, config):
    run = taught(library, replace(config, unfreeze=0))
    before = part(snapshot(run), "backbone.", "running_mean")
    list(run.run_epoch())
    after = part(run.state(), "backbone.", "running_mean")
    assert not any(torch.equal(value, after[key]) for key, value in before.items())


def test_every_epoch_has_its_own_pairs(whole):
    asked = whole[4]
    assert sorted(asked[:4]) == [0, 1, 2, 3]
    assert sorted(asked[4:]) == [4, 5, 6, 7]


def test_pairs_are_shuffled(library, config):
    """So many that no shuffle leaves them as they are; pairs beyond the last step are left out."""
    large = replace(config, pairs=50, batch=4)
    orders = []
    for epoch, seed in ((0, 0), (1, 0), (0, 1)):
        run = trainer(library, replace(large, seed=seed))
        run.epoch = epoch
        order = [int(index) for index in run._loader().sampler]
        assert len(set(order)) == len(order) == 48
        assert {index // 50 for index in order} == {epoch}
        orders.append([index % 50 for index in order])
    assert orders[0] != sorted(orders[0])
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_backbone_learns_from_its_epoch_on(whole):
    _, states, _, _, _ = whole
    start, frozen, end = (part(state, "backbone.", but=["running", "num_"]) for state in states)
    assert_same(start, frozen)
    assert not any(torch.equal(value, end[key]) for key, value in frozen.items())
    heads = [part(state, "pred.weight") for state in states]
    assert len(heads[0]) == 1
    for before, after in pairwise(heads):
        assert not any(torch.equal(value, after[key]) for key, value in before.items())


def test_norms_of_the_backbone_keep_their_statistics(whole):
    _, states, _, _, _ = whole
    for word in ("running_mean", "running_var", "num_batches_tracked"):
        assert_same(part(states[0], "backbone.", word), part(states[2], "backbone.", word))
        head = [part(state, word, but=["backbone."]) for state in (states[0], states[2])]
        assert head[0]
        assert not any(torch.equal(value, head[1][key]) for key, value in head[0].items())


def test_steps_report_losses_rate_and_norm(whole):
    config, _, steps, _, _ = whole
    keys = {"rate", "total", "norm", "score", "box", "quality"}
    assert [set(step) for step in steps] == [keys] * 4
    for number, step in enumerate(steps):
        assert step["rate"] == pytest.approx(1e-3 * learning_rate(number, config, 4))
        total = step["score"] + 2 * step["box"] + 0.5 * step["quality"]
        assert step["total"] == pytest.approx(total, rel=1e-5)
        assert step["norm"] > 0


def test_average_of_the_weights_by_hand(whole):
    """The first step's weights; then 2/11 of them is kept, and 3/12, and 4/13."""
    _, _, _, weights, _ = whole
    expected = {}
    for number, (network, averaged) in enumerate(weights):
        kept = 0.0 if number == 0 else (1 + number) / (10 + number)
        for key, value in network.items():
            if not value.is_floating_point():
                assert torch.equal(averaged[key], value)
                continue
            old = expected.get(key, value)
            expected[key] = kept * old + (1 - kept) * value
            torch.testing.assert_close(averaged[key], expected[key], rtol=1e-4, atol=1e-6)


def test_moving_average_in_the_long_run():
    averages = [torch.tensor([1.0]), torch.tensor(3)]
    moving_average(0.9, averages, [torch.tensor([2.0]), torch.tensor(8)], 10_000)
    assert averages[0].item() == pytest.approx(1.1)
    assert averages[1].item() == 8


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 0.25), (2, 0.75), (3, 1), (4, 1), (9, 0.505), (14, 0.01), (20, 0.01)],
)
def test_rate_rises_in_a_line_and_falls_as_half_a_cosine(config, step, share):
    assert learning_rate(step, replace(config, warmup=4), 14) == pytest.approx(share)


def test_rate_without_a_warmup(config):
    rates = [learning_rate(step, replace(config, warmup=0), 10) for step in range(11)]
    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)


def test_backbone_and_norms_have_a_share_of_the_rate(library, config):
    run = trainer(library, replace(config, warmup=4, backbone_rate=0.25, norm_rate=2.0))
    rates = {}
    for group in run.optimizer.param_groups:
        for parameter in group["params"]:
            rates[id(parameter)] = group["lr"]
    for name, parameter in run.network.named_parameters():
        share = 0.25 if name.startswith("backbone.") else 1
        share *= 2 if parameter.ndim == 1 else 1
        assert rates.pop(id(parameter)) == pytest.approx(share * 0.25e-3), name
    assert not rates


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_clip_limits_the_step(library, config, clip):
    """A first step of plain descent is as long as rate times gradient, or times the limit."""
    run = trainer(
        library,
        replace(config, optimizer="sgd", weight_decay=0.0, rate=0.1, warmup=0, clip=clip),
    )
    before = [p.detach().clone() for p in run.network.parameters()]
    step = next(run.run_epoch())
    moved = [p.detach() - b for p, b in zip(run.network.parameters(), before, strict=True)]
    length = torch.stack([part.norm() for part in moved]).norm().item()
    assert step["norm"] > 0.1
    assert length == pytest.approx(0.1 * min(clip, step["norm"]), rel=1e-3)


def test_it_learns(library, config):
    """One pair, again and again."""
    run = trainer(library, replace(config, pairs=24, batch=1, unfreeze=9, average=0.5, rate=3e-3))
    pair = PairDataset(library, run.network.preset, replace(config.data, negative=0.0), 1, 0)[1]
    run.dataset.__class__ = type("Same", (PairDataset,), {"__getitem__": lambda self, index: pair})
    totals = [step["total"] for step in run.run_epoch()]
    assert sum(totals[-4:]) < 0.6 * sum(totals[:4])


def test_validated_network_is_the_average(library, config):
    run = trainer(library, config)
    list(run.run_epoch())
    averaged = run.averaged
    assert not any(module.training for module in averaged.modules())
    assert run.network.head.tower[0][2].training
    assert averaged is run.average.module


def test_batch_must_fit_the_processes(library, config):
    with pytest.raises(ValueError, match=r"^batch must be a multiple of the 3 processes, got 4$"):
        trainer(library, replace(config, batch=4), processes=Processes(0, 3))


# checkpoints


def other_network(state):
    network = nn.Sequential(nn.Linear(2, 2))
    return {**state, "network": network.state_dict()}


OTHERS = {
    "network": other_network,
    "no optimizer": lambda state: {k: v for k, v in state.items() if k != "optimizer"},
    "weights alone": lambda state: state["network"],
    "list": lambda state: [1, 2],
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_checkpoint_of_another_run_is_refused(change, whole, library, tmp_path):
    config, states, _, _, _ = whole
    path = tmp_path / "last.pt"
    torch.save(change(states[1]), path)
    with pytest.raises(ValueError, match=f"^{path}: is not a checkpoint of this run"):
        trainer(library, config).resume(path)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_run_with_the_other_optimizer_is_refused(optimizer, library, config, tmp_path):
    path = tmp_path / "last.pt"
    save(path, trainer(library, replace(config, optimizer=optimizer)).state())
    trainer(library, replace(config, optimizer=optimizer)).resume(path)
    (other,) = {"adamw", "sgd"} - {optimizer}
    with pytest.raises(ValueError, match="is not a checkpoint of this run"):
        trainer(library, replace(config, optimizer=other)).resume(path)


@pytest.mark.parametrize("content", [b"", b"broken", b"PK\x03\x04 broken"])
def test_broken_checkpoint_is_refused(content, library, config, tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: is not a checkpoint of this run"):
        trainer(library, config).resume(path)


def test_no_checkpoint(library, config, tmp_path):
    with pytest.raises(FileNotFoundError):
        trainer(library, config).resume(tmp_path / "last.pt")


def test_a_run_moves_from_the_cpu_to_a_gpu_and_back(whole, library, tmp_path):
    """Only on a GPU are losses scaled, and the scale remembered."""
    config, states, _, _, _ = whole
    run = trainer(library, config)
    run.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    save(tmp_path / "last.pt", states[1])
    run.resume(tmp_path / "last.pt")
    assert run.state()["scaler"]["scale"] == 8.0
    save(tmp_path / "gpu.pt", run.state())
    run = trainer(library, config)
    run.resume(tmp_path / "gpu.pt")
    assert_same(run.state(), states[1])


def test_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path):
    path = tmp_path / "last.pt"
    save(path, {"epoch": 1})
    with pytest.raises(Exception, match=r"pickle|local object"):
        save(path, {"epoch": lambda: 2})
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [*tmp_path.iterdir()] == [path]
