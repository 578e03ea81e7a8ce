"""The configuration of a training run, read from one TOML file."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siamcorr.data.synthetic.scene_config import SceneConfig
from siamcorr.models.config import from_mapping, read_toml


@dataclass(frozen=True)
class DataConfig:
    """Where pairs come from, as shares that need not sum to 1, and how crops vary.

    Args:
        folders: folders with photographs and cut-outs; "~" is the user's home.
        scenes: share of pairs from rendered scenes.
        photos: share of pairs from warped photographs.
        footage: share of pairs of neighbouring frames of `unlabelled`.
        unlabelled: videos without boxes.
        labelled: share of pairs from `sequences`.
        sequences: folders of sequences with boxes.
        masks: folder with masks of those sequences' frames, for cut-outs; may be empty.
        stills: share of pairs from `boxed`.
        boxed: folder of photographs with boxes.
        anything: share of pairs from any part of `pictures`; only the teacher gives their targets.
        negative: share of all pairs whose template shows another target.
        blank: share of all pairs whose search crop has one colour, as of a covered camera.
        covered: share of all pairs with the target fully behind a patch of another picture; it is
            labelled as absent.
        elsewhere: share of all pairs with the search crop at a random place of the frame, if that
            does not touch the target.
        deformed: share of all pairs with the target smoothly distorted in the search crop.
        smeared: share of all pairs with the target blurred by motion, up to half its size.
        rivals: share of pairs with the search crop around another object of the frame, if one is
            known.
        shift: maximum offset of the target from the centre of the search crop per axis, in pixels.
        scale: range of the search crop's scale: 0.2 is 0.8 to 1.25.
        gray: share of all pairs without colour.
        flip: share of all pairs that are mirrored.
        clips: number of rendered clips for validation.
        clip_frames: frames of each of these clips.
        marked: table of boxes in more videos for validation; may be empty.
        videos: folder of the videos of `marked`.
        choice: folders of more sequences for validation.
        pictures: files and folders of pictures and videos, for crops that teach features and for
            `anything`.
        scene: how rendered scenes look.
    """

    folders: tuple[str, ...]
    scenes: float = 0.7
    photos: float = 0.3
    footage: float = 0.0
    unlabelled: tuple[str, ...] = ()
    labelled: float = 0.0
    sequences: tuple[str, ...] = ()
    masks: str = ""
    stills: float = 0.0
    boxed: str = ""
    anything: float = 0.0
    negative: float = 0.1
    blank: float = 0.0
    covered: float = 0.0
    elsewhere: float = 0.0
    deformed: float = 0.0
    smeared: float = 0.0
    rivals: float = 0.0
    shift: float = 64.0
    scale: float = 0.2
    gray: float = 0.1
    flip: float = 0.0
    clips: int = 12
    clip_frames: int = 60
    marked: str = ""
    videos: str = ""
    choice: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    scene: SceneConfig = field(default_factory=SceneConfig)

    def __post_init__(self) -> None:
        marked = (self.scenes, self.photos, self.footage, self.labelled, self.stills)
        shares = (*marked, self.anything)
        if min(shares) < 0 or sum(shares) <= 0:
            names = "scenes, photos, footage, labelled, stills and anything"
            raise ValueError(f"{names} must be >= 0, and not all 0")
        if self.shift < 0:
            raise ValueError(f"shift must be >= 0, got {self.shift}")
        if not 0 <= self.negative < 1 or not 0 <= self.gray <= 1 or not 0 <= self.scale < 1:
            raise ValueError("negative, gray and scale must be in 0..1")
        if self.clips > 10_000 or self.clip_frames > 10_000:
            raise ValueError("clips and clip_frames must be at most 10000")
        if self.shift > 4096:
            raise ValueError(f"shift must be at most 4096, got {self.shift}")
        for name in ("flip", "rivals", "blank", "covered", "elsewhere", "deformed", "smeared"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0..1, got {getattr(self, name)}")
        if self.clips < 0 or self.clip_frames < 2:
            raise ValueError("clips must be >= 0 and clip_frames >= 2")
        if not (self.clips or self.marked or self.choice):
            raise ValueError("clips must be >= 1 if neither marked nor choice is given")


@dataclass(frozen=True)
class TeacherConfig:
    """A published network as the teacher.

    Args:
        model: preset of the teacher.
        weights: its checkpoint; if empty, it is found as by `siamcorr track`.
        features: weight of the feature loss.
        maps: weight of the loss with the teacher's scores and boxes as targets.
        always: use the teacher's maps in every pair except those with an absent target; otherwise
            only in pairs in which the teacher finds the target.
        inner: weight of the loss of inner maps, for every pair except those with an absent target.
        layers: modules of the student's head for `inner`, each with the modules of the teacher's
            head that it learns from.
        forced: teacher forcing: the layer after each of these receives the teacher's maps instead
            of the student's, so that all learn independently and at once.
    """

    model: str
    weights: str = ""
    features: float = 1.0
    maps: float = 1.0
    always: bool = False
    inner: float = 0.0
    layers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    forced: bool = False

    def __post_init__(self) -> None:
        if min(self.features, self.maps, self.inner) < 0:
            raise ValueError("features, maps and inner must be >= 0")
        if bool(self.inner) != bool(self.layers):
            raise ValueError("inner is the weight of layers: both must be given, or neither")
        if self.forced and not self.layers:
            raise ValueError("forced needs layers")


PARTS = ("backbone", "neck", "head")
LEARNS = ("pairs", "features", "stages")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run.

    Args:
        model: preset of the network.
        output: folder for checkpoints and logs.
        data: where pairs come from.
        learns: "pairs": the whole network learns from pairs of crops; "features": the backbone
            learns the teacher's features of any crop; "stages": each stage of the backbone learns
            the teacher's same stage.
        stages: with "stages", the stages to learn, counted from 0; empty for all.
        teacher: see `TeacherConfig`; may be missing.
        marks: weight of the ground truth's loss.
        boxes: multiplies the box losses, of the ground truth and of the teacher.
        initial: checkpoint to start from; empty for random weights.
        initial_parts: prefixes of the keys to load from it, such as "backbone" or
            "backbone.features.0"; all other weights start at random.
        prune: pairs on which the channels of the tower's last blocks are chosen, if the initial
            weights have more than the model, see `prune_tower`; 0: they have the same.
        epochs: number of epochs; 0 with `prune` writes the pruned weights as they are.
        pairs: pairs, or crops, per epoch.
        batch: pairs per step over all processes.
        optimizer: "adamw" or "sgd".
        rate: the highest learning rate.
        backbone_rate: the backbone's share of it.
        norm_rate: multiplies the rate of norms and biases.
        weight_decay: of the optimizer.
        warmup: steps of linear increase to `rate`; then the rate falls along half a cosine.
        unfreeze: first epoch, counted from 0, in which the backbone is trained.
        norms: update the backbone's batch norms, too; otherwise their statistics are fixed.
        clip: maximum norm of the gradient.
        average: decay of the moving average of weights (EMA).
        workers: data loader processes for each training process.
        seed: of the weights and of all pairs.
    """

    model: str
    output: str
    data: DataConfig
    learns: str = "pairs"
    stages: tuple[int, ...] = ()
    teacher: TeacherConfig | None = None
    marks: float = 1.0
    boxes: float = 1.0
    initial: str = ""
    initial_parts: tuple[str, ...] = PARTS
    prune: int = 0
    epochs: int = 10
    pairs: int = 10000
    batch: int = 32
    optimizer: str = "adamw"
    rate: float = 1e-3
    backbone_rate: float = 0.1
    norm_rate: float = 1.0
    weight_decay: float = 1e-4
    warmup: int = 200
    unfreeze: int = 6
    norms: bool = False
    clip: float = 5.0
    average: float = 0.998
    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < (0 if self.prune else 1) or not 1 <= self.batch <= self.pairs:
            raise ValueError("epochs and batch must be >= 1, and pairs >= batch")
        if self.learns not in LEARNS:
            names = " or ".join(f'"{name}"' for name in LEARNS)
            raise ValueError(f"learns must be {names}, got {self.learns!r}")
        if self.learns != "pairs" and self.teacher is None:
            raise ValueError(f'learns = "{self.learns}" needs a teacher')
        if self.learns == "stages" and self.unfreeze > 0:  # nothing else learns
            raise ValueError(f'learns = "stages" needs unfreeze = 0, got {self.unfreeze}')
        if self.stages and self.learns != "stages":
            raise ValueError(f'stages needs learns = "stages", got {self.learns!r}')
        if self.prune and not (self.initial and self.learns == "pairs"):
            raise ValueError('prune needs initial weights and learns = "pairs"')
        if not 0 <= self.prune <= 1 << 20:
            raise ValueError(f"prune must be in 0..{1 << 20}, got {self.prune}")
        if min(self.marks, self.boxes) < 0:
            raise ValueError(f"marks and boxes must be >= 0, got {self.marks} and {self.boxes}")
        if self.optimizer not in ("adamw", "sgd"):
            raise ValueError(f'optimizer must be "adamw" or "sgd", got {self.optimizer!r}')
        if self.rate <= 0 or min(self.backbone_rate, self.norm_rate) < 0 or self.clip <= 0:
            raise ValueError("rate and clip must be > 0, backbone_rate and norm_rate >= 0")
        if not 0 <= self.average < 1 or self.workers < 0 or self.warmup < 0:
            raise ValueError("average must be in 0..1, workers and warmup >= 0")
        if self.batch > 1 << 16 or self.workers > 256:
            raise ValueError("batch must be at most 65536, workers 256")


def load_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a run's TOML file; `changes` are key=value, or table.key=value as in data.gray=0.2.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file or a change is wrong.
    """
    path = Path(path)
    table = read_toml(path)
    try:
        for change in changes:
            _set(table, change)
    except RecursionError:
        raise ValueError("--set: a value is nested too deeply") from None
    return from_mapping(TrainConfig, table, path.name)


def _set(table: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *tables, key = name.strip().split(".")
    if not equals or not key:
        raise ValueError(f"--set takes key=value, got {change!r}")
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ValueError(f"--set {change}: {part} is not a table")
    try:
        table[key] = tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # not TOML, or a number with thousands of digits
        table[key] = text.strip()
