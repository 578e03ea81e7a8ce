"""A run's file: reading, changes from the command line, and errors."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from siamcorr.training.config import DataConfig, TrainConfig, load_config

RUN = """
model = "siamcorr-lite"
output = "out"
rate = 1
batch = 4

[data]
folders = ["a", "b"]
gray = 0.5

[data.scene]
distractors = 2
"""
DATA = DataConfig(("a",))
SHIPPED = Path(__file__).parents[2] / "configs" / "train"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(RUN, encoding="utf-8")
    return path


def test_file(path):
    config = load_config(path)
    assert (config.model, config.output, config.rate) == ("siamcorr-lite", "out", 1.0)
    assert isinstance(config.rate, float)
    assert config.data.folders == ("a", "b")
    assert config.data.scene.distractors == 2
    scene = replace(DataConfig(()).scene, distractors=2)
    data = DataConfig(("a", "b"), gray=0.5, scene=scene)
    assert config == TrainConfig("siamcorr-lite", "out", data, rate=1.0, batch=4)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("epochs=3", lambda config: config.epochs == 3),
        (" rate = 2e-3 ", lambda config: config.rate == 2e-3),
        ("output=other/folder", lambda config: config.output == "other/folder"),
        ('output="other folder"', lambda config: config.output == "other folder"),
        ("output = some folder ", lambda config: config.output == "some folder"),
        ("output=a=b", lambda config: config.output == "a=b"),
        ("data.gray=1", lambda config: config.data.gray == 1.0),
        ('data.folders=["c"]', lambda config: config.data.folders == ("c",)),
        ("data.scene.occlusion=0.5", lambda config: config.data.scene.occlusion == 0.5),
    ],
)
def test_set_changes_one_key(change, found, path):
    plain, config = load_config(path), load_config(path, [change])
    assert not found(plain)
    assert found(config)
    key = change.split("=")[0].strip().split(".")[0]
    assert replace(config, **{key: getattr(plain, key)}) == plain


def test_the_last_change_counts(path):
    assert load_config(path, ["epochs=3", "batch=2", "epochs=4"]).epochs == 4


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("epoch=3", r"run\.toml: unknown key 'epoch', did you mean 'epochs'\?"),
        ("data.grey=1", r"run\.toml\.data: unknown key 'grey', did you mean 'gray'\?"),
        ("data.scene.zom=1", r"run\.toml\.data\.scene: unknown key 'zom', did you mean 'zoom'\?"),
        ("dta.gray=1", r"run\.toml: unknown key 'dta', did you mean 'data'\?"),
        ("epochs=x", r"run\.toml\.epochs: must be int, got 'x'"),
        ("epochs=1.5", r"run\.toml\.epochs: must be int, got 1\.5"),
        ("data=3", r"run\.toml\.data: must be a table, got 3"),
        ("data.folders=a", r"run\.toml\.data\.folders: must be a list, got 'a'"),
        ("optimizer=adam", r'run\.toml: optimizer must be "adamw" or "sgd", got \'adam\''),
        ("data.smeared=2", r"run\.toml\.data: smeared must be in 0\.\.1, got 2\.0"),
        ("data.gray=2", r"run\.toml\.data: negative, gray and scale must be in 0\.\.1"),
        ("epochs", "--set takes key=value, got 'epochs'"),
        ("=3", "--set takes key=value, got '=3'"),
        ("data.=3", r"--set takes key=value, got 'data\.=3'"),
        ("model.name=x", r"--set model\.name=x: model is not a table"),
    ],
)
def test_bad_changes(change, text, path):
    with pytest.raises(ValueError, match=f"{text}$"):
        load_config(path, [change])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model = ", r"run\.toml: Invalid value \(at end of document\)"),
        ('model = "m"', r"run\.toml: key 'output' is missing"),
        ('model = "m"\noutput = "o"', r"run\.toml: key 'data' is missing"),
        ('model = "m"\noutput = "o"\n[data]', r"run\.toml\.data: key 'folders' is missing"),
        (RUN + "distractor = 1", r"run\.toml\.data\.scene: unknown key 'distractor'"),
        (b"\xff\xfe\x00", r"run\.toml: .*utf-8"),
    ],
)
def test_bad_files(text, reason, path):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=reason):
        load_config(path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_config(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epochs": 0}, "epochs and batch must be >= 1, and pairs >= batch"),
        ({"batch": 0}, "epochs and batch must be >= 1, and pairs >= batch"),
        ({"batch": -1}, "epochs and batch must be >= 1, and pairs >= batch"),
        ({"pairs": 31}, "pairs >= batch"),
        ({"stages": (1,)}, 'stages needs learns = "stages", got .pairs'),
        ({"prune": 8}, 'prune needs initial weights and learns = "pairs"'),
        ({"prune": -1, "initial": "a"}, "prune must be in 0..1048576, got -1"),
        ({"optimizer": "adam"}, "adamw"),
        ({"rate": 0}, "rate and clip must be > 0"),
        ({"backbone_rate": -0.1}, "backbone_rate and norm_rate >= 0"),
        ({"clip": 0}, "rate and clip must be > 0"),
        ({"average": 1}, r"average must be in 0\.\.1"),
        ({"workers": -1}, "workers and warmup >= 0"),
        ({"warmup": -1}, "workers and warmup >= 0"),
    ],
)
def test_ranges_of_a_run(changes, text):
    with pytest.raises(ValueError, match=text):
        TrainConfig("m", "o", DATA, **changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"scenes": 0, "photos": 0}, "not all 0"),
        ({"scenes": -1, "photos": 2}, "must be >= 0"),
        ({"footage": -1}, "must be >= 0"),
        ({"labelled": -1}, "must be >= 0"),
        ({"negative": 1}, "negative, gray and scale"),
        ({"negative": -0.1}, "negative, gray and scale"),
        ({"gray": 1.1}, "negative, gray and scale"),
        ({"scale": 1}, "negative, gray and scale"),
        ({"clips": 0}, "clips must be >= 1"),
        ({"clip_frames": 1}, "clip_frames >= 2"),
    ],
)
def test_ranges_of_data(changes, text):
    with pytest.raises(ValueError, match=text):
        DataConfig(("a",), **changes)


def test_the_shipped_runs_end_in_a_shipped_preset(monkeypatch):
    """Each goes on from the weights of the one before; they are started in the checkout."""
    monkeypatch.chdir(SHIPPED.parent.parent)
    runs = [load_config(SHIPPED / f"siamcorr-lite-{number}.toml") for number in range(1, 8)]
    for before, run in pairwise(runs):
        assert run.initial.startswith(f"{before.output}/")
    for run in runs:
        assert run.model == "siamcorr-lite"
        assert run.teacher.model == "nanotrack-v2"
        assert run.warmup < run.epochs * (run.pairs // run.batch)
    assert [run.learns for run in runs] == [*3 * ["stages"], "features", *3 * ["pairs"]]
