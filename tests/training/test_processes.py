"""Several processes train as one; under torchrun this file is what they run."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from siamcorr import cli
from siamcorr.models import SiameseNetwork, assemble, load_preset
from siamcorr.training.cell_points import cell_points
from siamcorr.training.config import DataConfig, TrainConfig
from siamcorr.training.loop import Trainer
from siamcorr.training.losses import cell_labels
from siamcorr.training.pairs import Pair, collate
from siamcorr.training.processes import Processes, join_processes

CONFIG = TrainConfig(
    *("siamcorr-lite", "out", DataConfig(("a",))),
    epochs=2,
    pairs=4,
    batch=4,
    optimizer="sgd",
    rate=0.05,
    backbone_rate=1.0,
    weight_decay=0.0,
    warmup=0,
    clip=1e6,
    workers=0,
)
LEARNS = {"frozen": 9, "learns": 0}  # the epoch from which the backbone does


class Noise:
    """Pairs of noise, with boxes of unequal sizes."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Pair:
        generator = torch.Generator().manual_seed(index)
        template, search = (
            torch.randint(256, (3, size, size), generator=generator, dtype=torch.uint8)
            for size in (127, 255)
        )
        x, y = (16 * torch.randint(-3, 4, (2,), generator=generator)).tolist()
        side = 40.0 + 20 * index  # unequal, so that processes have unequally many positive cells
        box = torch.tensor([80.0 + x, 90.0 + y, 80.0 + x + side, 90.0 + y + side])
        return Pair(template, search, box, torch.tensor(1.0), torch.tensor(1.0))


def network() -> SiameseNetwork:
    torch.manual_seed(0)
    return assemble(load_preset(CONFIG.model))


def updates(processes: Processes, unfreeze: int) -> dict[str, torch.Tensor]:
    """What an epoch, which is one step, adds to each weight; all norms as in inference."""
    net = network()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    pairs = collate([Noise()[index] for index in range(4)])
    with torch.no_grad():  # so that they know the features, and no signal is lost on its way
        net.train()(pairs.search.float(), pairs.template.float())
    for norm in norms:
        norm.eval().train = lambda mode=True: None
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    trainer = Trainer(net, Noise(), replace(CONFIG, unfreeze=unfreeze), processes)
    assert len(list(trainer.run_epoch())) == 1
    return {name: p.detach() - before[name] for name, p in net.named_parameters()}


def torchrun(*command: object, env: dict[str, str] | None = None) -> str:
    """Two processes on this machine; what they print."""
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        + [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | (env or {}),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_shares_are_disjoint_and_cover_all():
    numbers = torch.arange(24).view(4, 6)
    for count in (1, 2, 3, 6):
        shares = [Processes(rank, count).share(numbers) for rank in range(count)]
        assert {share.shape for share in shares} == {(4, 6 // count)}
        for step in range(4):
            together = [number for share in shares for number in share[step].tolist()]
            assert sorted(together) == numbers[step].tolist()


def test_processes_load_the_pairs_of_one_process():
    orders = [
        [
            [*Trainer(network(), Noise(), CONFIG, Processes(rank, count))._loader().sampler]
            for rank in range(count)
        ]
        for count in (1, 2)
    ]
    (whole,), (even, odd) = orders
    assert [even[0], odd[0], even[1], odd[1]] == whole


def test_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    device = torch.device("cpu")
    assert join_processes(device) == Processes(0, 1, device)
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    alone = join_processes(device)
    assert alone == Processes(0, 1, device)
    assert not torch.distributed.is_initialized()
    module = nn.Linear(1, 1)
    assert alone.wrap(module) is module
    alone.wait()
    alone.close()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "torchrun's environment is incomplete: there is WORLD_SIZE without RANK"),
        ({"RANK": "0"}, "MASTER_ADDR"),
        ({"RANK": "first"}, "first"),
    ],
)
def test_incomplete_environment(given, text, monkeypatch):
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"WORLD_SIZE": "2", **given}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=text):
        join_processes(torch.device("cpu"))


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each of two processes came to."""
    folder = tmp_path_factory.mktemp("processes")
    torchrun(__file__, folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("backbone", LEARNS)
def test_two_processes_step_as_one_with_the_whole_batch(backbone, together):
    """One step of plain descent from the same pairs.

    The norms stand still, for in training each process normalises its own half of the batch. The
    halves have unequally many positive cells, and still every cell counts alike. Rounding moves
    some maps over the edge of a ReLU: features changed by a millionth change gradients by 0.5 %.
    """
    first, second = (found[backbone] for found in together)
    alone = updates(Processes(), LEARNS[backbone])
    for name, part in alone.items():
        assert torch.equal(first[name], second[name]), name
        assert (first[name] - part).norm() <= 0.03 * part.norm(), name
        still = backbone == "frozen" and name.startswith("backbone.")
        assert part.any() != still, name


def test_the_pairs_have_different_numbers_of_positive_cells():
    box = torch.stack([Noise()[index].box for index in range(4)])
    positive, _ = cell_labels(cell_points(17, 16, 255), box, torch.ones(4))
    counts = positive.sum(dim=(1, 2))
    assert counts[0::2].sum() != counts[1::2].sum()


def test_two_processes_write_one_log_and_one_checkpoint(pictures, tmp_path, capsys):
    """And the run is gone on with by one."""
    run = tmp_path / "run.toml"
    run.write_text(
        f"""
        model = "siamcorr-lite"
        output = "{tmp_path / "out"}"
        {"epochs = 2; pairs = 4; batch = 4; workers = 0".replace("; ", chr(10))}
        data = {{ folders = ["{pictures}"], clips = 1, clip_frames = 2 }}
        """
    )
    printed = torchrun("-m", "siamcorr", "train", run, "--device", "cpu", "--max-epochs", "1")
    assert len(printed.splitlines()) == 1
    files = {path.name for path in (tmp_path / "out").iterdir() if "events" not in path.name}
    assert files == {"log.csv", "last.pt", "best.safetensors", "curves.png"}
    assert (tmp_path / "out" / "log.csv").read_text().count("\n") == 2
    assert cli.main(["train", str(run), "--device", "cpu"]) == 0
    lines = (tmp_path / "out" / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2"]


def main(folder: Path) -> None:
    processes = join_processes(torch.device("cpu"))
    found = {name: updates(processes, unfreeze) for name, unfreeze in LEARNS.items()}
    torch.save(found, folder / f"{processes.rank}.pt")
    processes.wait()
    processes.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
