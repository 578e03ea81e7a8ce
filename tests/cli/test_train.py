"""`siamcorr train`: written files, resumed runs, and errors."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from training.drawn import write_pictures

from siamcorr.cli import main
from siamcorr.models import assemble, load_preset, read_checkpoint
from siamcorr.models.presets import preset_path
from siamcorr.training.pruning import widen_tower
from siamcorr.training.validation import (
    sequence_clips,
)

FILES = {"log.csv", "last.pt", "best.safetensors"}
SMALL = ["epochs=2", "pairs=4", "batch=2", "warmup=1", "unfreeze=1", "workers=0"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("library") / "all")


@pytest.fixture(autouse=True)
def threads():
    before = cv2.getNumThreads(), torch.get_num_threads()
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


def write_config(folder: Path, pictures: Path) -> Path:
    path = folder / "run.toml"
    path.write_text(
        "\n".join(
            [
                'model = "siamcorr-lite"',
                f'output = "{folder / "out"}"',
                *SMALL,
                "[data]",
                f'folders = ["{pictures}"]',
                "clips = 1",
                "clip_frames = 3",
            ]
        )
    )
    return path


def train(config, *flags):
    return main(["train", str(config), "--device", "cpu", *map(str, flags)])


def contents(folder):
    """Of the files that a run is to leave behind; events are for another program."""
    paths = (path for path in folder.iterdir() if "events" not in path.name)
    return {path.name: path.read_bytes() for path in paths}


def rows(folder):
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def done(pictures, tmp_path_factory):
    """A run from its start to its end, in two calls."""
    folder = tmp_path_factory.mktemp("done")
    config = write_config(folder, pictures)
    for epoch in (1, 2):
        assert train(config, "--max-epochs", 1) == 0
        assert len(rows(folder / "out")) == epoch
    return config


def test_files(done):
    out = done.parent / "out"
    assert set(contents(out)) == FILES | {"curves.png"}
    log = rows(out)
    assert [row["epoch"] for row in log] == ["1", "2"]
    columns = ("epoch", "seconds", "score", "box", "quality", "total", "rate", "norm", "overlap")
    assert tuple(log[0]) == columns
    values = np.array([[float(row[name]) for name in columns] for row in log])
    assert np.isfinite(values).all()
    assert (values[:, 8] >= 0).all()
    assert (values[:, 8] <= 1).all()
    assert torch.load(out / "last.pt", weights_only=True)["epoch"] == 2


def test_best_weights_are_known(done):
    path = done.parent / "out" / "best.safetensors"
    best = max(rows(path.parent), key=lambda row: (float(row["overlap"]), row["epoch"]))
    metadata = read_checkpoint(path).metadata
    assert metadata == {"preset": "siamcorr-lite", "epoch": best["epoch"]}


def test_a_finished_run_does_nothing(done, capsys):
    before = contents(done.parent / "out")
    assert train(done) == 0
    assert contents(done.parent / "out") == before
    assert capsys.readouterr().out == ""


def test_set_extends_a_finished_run(done, tmp_path, capsys):
    """Nested keys, too; and each epoch is told in a line."""
    out = tmp_path / "more"
    out.mkdir()
    for name, content in contents(done.parent / "out").items():
        (out / name).write_bytes(content)
    changes = [f"output={out}", "epochs=3", "data.scene.distractors=0", "data.clip_frames=2"]
    assert train(done, *(part for change in changes for part in ("--set", change))) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("epoch 3  seconds ")
    assert [row["epoch"] for row in rows(out)] == ["1", "2", "3"]
    assert f"overlap {float(rows(out)[-1]['overlap']):.4g}" in line


def test_two_calls_equal_one(done, pictures, tmp_path):
    config = write_config(tmp_path, pictures)
    assert train(config) == 0
    last, whole = (
        torch.load(path.parent / "out" / "last.pt", weights_only=True) for path in (done, config)
    )
    for key, value in last["network"].items():
        assert torch.equal(value, whole["network"][key]), key
    assert last["best"] == whole["best"]


# a teacher


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("teacher") / "nanotrack.pth"
    torch.save(assemble(load_preset("nanotrack-v2")).state_dict(), path)
    return path


def taught_config(folder, pictures, teacher, more=()):
    path = write_config(folder, pictures)
    text = path.read_text().replace("clips = 1", f'clips = 1\npictures = ["{pictures}"]')
    lines = [*more, "[teacher]", 'model = "nanotrack-v2"', f'weights = "{teacher}"', "[data]"]
    path.write_text(text.replace("[data]", "\n".join(lines)))
    return path


def test_features_first_then_pairs(pictures, teacher, tmp_path):
    """The second run begins with the first one's weights, and with its adapter."""
    config = taught_config(tmp_path, pictures, teacher, ['learns = "features"'])
    assert train(config) == 0
    out = tmp_path / "out"
    assert set(contents(out)) == FILES | {"curves.png", "adapter.safetensors"}
    assert [*rows(out)[0]] == ["epoch", "seconds", "features", "total", "rate", "norm", "overlap"]
    assert float(rows(out)[0]["overlap"]) == pytest.approx(
        1 - float(rows(out)[0]["features"]), abs=1e-5
    )
    (tmp_path / "second").mkdir()
    config = taught_config(tmp_path / "second", pictures, teacher)
    flags = "--set", f"initial={out / 'best.safetensors'}", "--set", "rate=1e-12"
    assert train(config, "--max-epochs", 1, *flags) == 0
    state = torch.load(tmp_path / "second" / "out" / "last.pt", weights_only=True)
    adapter = read_checkpoint(out / "adapter.safetensors").state_dict
    for key, value in state["imitation"].items():
        torch.testing.assert_close(value, adapter[key])
    assert {"features", "taught"} <= set(rows(tmp_path / "second" / "out")[0])


def test_stages_in_two_calls_equal_one(pictures, teacher, tmp_path):
    states = []
    for name, calls in (("one", [()]), ("two", [("--max-epochs", 1), ()])):
        (tmp_path / name).mkdir()
        config = taught_config(tmp_path / name, pictures, teacher, ['learns = "stages"'])
        assert all(train(config, "--set", "unfreeze=0", *call) == 0 for call in calls)
        states.append(torch.load(tmp_path / name / "out" / "last.pt", weights_only=True))
        for row in rows(tmp_path / name / "out"):
            assert float(row["total"]) == pytest.approx(9 * float(row["features"]), rel=1e-4)
    for part in ("network", "inner"):
        for key, value in states[0][part].items():
            assert torch.equal(value, states[1][part][key]), key
    assert len(states[0]["inner"]) == 9  # the deviation of each stage's channels


def test_a_new_head_on_an_earlier_backbone(pictures, teacher, tmp_path):
    """The head begins at random; what learns beside its inner maps is in the checkpoint."""
    config = taught_config(tmp_path, pictures, teacher)
    shipped = preset_path("siamcorr-lite").read_text()
    preset = tmp_path / "earlier.toml"
    preset.write_text(shipped.replace('head = "lite-pixelwise"', 'head = "lite"'))
    assert train(config, "--max-epochs", 1, "--set", f"model={preset}") == 0
    first = tmp_path / "out" / "best.safetensors"
    changes = {
        "output": tmp_path / "second",
        "initial": first,
        "initial_parts": '["backbone"]',
        "rate": 1e-12,
        "teacher.inner": 1.0,
        "teacher.layers": '{score_cells = ["corr_pw_cls"]}',
    }
    flags = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    assert train(config, "--max-epochs", 1, *flags) == 0
    state = torch.load(tmp_path / "second" / "last.pt", weights_only=True)
    before = read_checkpoint(first).state_dict
    kept = [key for key in before if key.startswith("backbone.")]
    for key in kept:
        torch.testing.assert_close(state["network"][key], before[key])
    assert any(key.startswith("head.tower.2.") for key in state["network"])
    assert state["inner"]["0.deviation"].shape == (64, 1, 1)
    assert state["inner"]["0.mean"].any()
    assert "inner" in rows(tmp_path / "second")[0]


def test_a_wider_tower_is_pruned(pictures, tmp_path, capsys):
    """The weights that stay are earlier ones; other initial weights are refused."""
    network = assemble(load_preset("siamcorr-lite"))
    narrow = network.state_dict()
    widen_tower(network)
    path = tmp_path / "wide.pth"
    torch.save(network.state_dict(), path)
    config = write_config(tmp_path, pictures)
    flags = "--max-epochs", 1, "--set", "rate=1e-12", "--set", "prune=3"
    assert train(config, *flags, "--set", f"initial={path}") == 0
    trained = read_checkpoint(tmp_path / "out" / "best.safetensors").state_dict
    (tmp_path / "out" / "last.pt").unlink()
    assert train(config, *flags, "--set", f"initial={path}", "--set", "epochs=0") == 0
    found = read_checkpoint(tmp_path / "out" / "best.safetensors").state_dict
    for key, value in found.items():
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked")):
            torch.testing.assert_close(value, trained[key], rtol=1e-4, atol=1e-6)
    assert {key: value.shape for key, value in found.items()} == {
        key: value.shape for key, value in narrow.items()
    }
    key = "head.tower.4.1.weight"
    earlier = network.state_dict()[key].flatten(1)
    for row in found[key].flatten(1):
        assert torch.isclose(earlier, row).all(1).any()
    torch.save(narrow, path)
    assert train(config, *flags, "--set", f"initial={path}") == 2
    assert "wide.pth: does not contain weights of siamcorr-lite" in capsys.readouterr().err


def test_weights_with_additional_keys_are_refused(pictures, tmp_path, capsys):
    """Of one part, what the network lacks is left; of all of it, it is another network's."""
    state = assemble(load_preset("siamcorr-lite")).state_dict()
    path = tmp_path / "more.pth"
    torch.save({**state, "backbone.more": torch.zeros(1)}, path)
    config = write_config(tmp_path, pictures)
    flags = "--max-epochs", 1, "--set", f"initial={path}"
    assert train(config, *flags) == 2
    assert "more.pth: does not contain weights of siamcorr-lite" in capsys.readouterr().err
    assert train(config, *flags, "--set", 'initial_parts=["backbone"]') == 0


def test_validation_on_sequences(pictures, tmp_path):
    """Whole ones; a frame that nobody marked does not count."""
    folder = tmp_path / "choice" / "cup"
    folder.mkdir(parents=True)
    for index in range(3):
        cv2.imwrite(str(folder / f"{index:04}.png"), np.full((60, 80, 3), 50, np.uint8))
    (folder / "groundtruth.txt").write_text("10,10,20,20\nnan,nan,nan,nan\n12,10,20,20\n")
    clip, backwards = sequence_clips([str(tmp_path / "choice")])
    assert clip.name == "cup"
    assert backwards.name == "cup backwards"
    assert backwards.boxes == clip.boxes[::-1]
    assert all(a is b for a, b in zip(backwards.frames, clip.frames[::-1], strict=True))
    assert clip.boxes == [(10, 10, 20, 20), None, (12, 10, 20, 20)]
    assert len(clip.frames) == 3
    config = write_config(tmp_path, pictures)
    flags = ("--set", "data.clips=0", "--set", f'data.choice=["{tmp_path / "choice"}"]')
    assert train(config, "--max-epochs", 1, *flags) == 0
    assert 0 <= float(rows(tmp_path / "out")[0]["overlap"]) <= 1


# what goes wrong


ERRORS = {
    "no config": ("{tmp}/gone.toml", "gone.toml: No such file or directory"),
    "no folder": (
        '{config} --set data.folders=["{tmp}/gone"]',
        "gone: 0 photographs and 0 cut-outs found, at least one of each is needed",
    ),
    "no key": ("{config} --set epoch=3", "unknown key 'epoch', did you mean 'epochs'?"),
    "no nested key": ("{config} --set data.grey=1", "unknown key 'grey', did you mean 'gray'?"),
    "no table": ("{config} --set model.name=1", "--set model.name=1: model is not a table"),
    "batch": ("{config} --set batch=0", "epochs and batch must be >= 1"),
    "no scale": ("{config} --set data.scale=1", "negative, gray and scale must be in 0..1"),
    "no model": ("{config} --set model=siamcorr-light", "did you mean siamcorr-lite?"),
    "no such head": (
        "{config} --set model=nanotrack-v2",
        "nanotrack-v2: its head cannot be trained",
    ),
    "no initial": ("{config} --set initial={tmp}/gone.pth", "gone.pth: No such file"),
    "broken initial": ("{config} --set initial={tmp}/broken", "broken: not a checkpoint"),
    "other initial": (
        "{config} --set initial={tmp}/other.pth",
        "other.pth: does not contain weights of siamcorr-",
    ),
    "no pictures": (
        "{config} --set learns=features --set teacher.model=nanotrack-v2 "
        "--set teacher.weights={tmp}/teacher.pth",
        "pictures: no images or videos found",
    ),
    "frozen stages": (
        "{config} --set learns=stages --set teacher.model=nanotrack-v2",
        'learns = "stages" needs unfreeze = 0, got 1',
    ),
    "no teacher": ("{config} --set learns=features", 'learns = "features" needs a teacher'),
    "no such teacher": ("{config} --set teacher.model=nano", "nano"),
    "teacher of other crops": (
        "{config} --set teacher.model=dcfnet --set teacher.weights={tmp}/dcfnet.pth",
        "dcfnet cannot teach siamcorr-lite: its template_size is 125, not 127",
    ),
    "broken checkpoint": (
        "{config} --set output={tmp}/run",
        "last.pt: is not a checkpoint of this",
    ),
    "output": ("{config} --set output={config}", "run.toml: File exists"),
    "no threads": ("{config} --threads 0", "--threads must be >= 1, got 0"),
    "no epochs": ("{config} --max-epochs 0", "--max-epochs must be >= 1, got 0"),
    "no GPU": ("{config} --device cuda:99", "device cuda:99: there are"),
}


@pytest.mark.parametrize(("command", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_are_one_line_and_code_2(command, text, pictures, tmp_path, capsys):
    config = write_config(tmp_path, pictures)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").write_bytes(b"broken")
    (tmp_path / "broken").write_bytes(b"broken")
    torch.save({"features.0.0.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "other.pth")
    for name, model in (("teacher", "nanotrack-v2"), ("dcfnet", "dcfnet")):
        torch.save(assemble(load_preset(model)).state_dict(), tmp_path / f"{name}.pth")
    arguments = command.format(tmp=tmp_path, config=config).split(" ")
    assert main(["train", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("siamcorr: ")
    assert text in err
    assert len(err) < 300
