"""What a training run is made of: one TOML file."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siamcorr.data.synthetic.scene_config import SceneConfig
from siamcorr.models.config import from_mapping, read_toml


@dataclass(frozen=True)
class DataConfig:
    """Where pairs come from.

    folders: searched for photographs and cut-outs; "~" is the user's home.
    scenes, photos: shares of rendered scenes and of warped photographs among the pairs.
    footage: share of pairs of neighbouring frames; unlabelled: the videos that they are of.
    labelled: share of pairs of sequences with boxes; sequences: folders of those.
    masks: a folder of masks of those sequences' frames, for cut-outs; empty for none.
    stills: share of pairs of photographs with boxes; boxed: a folder of those.
    anything: share of pairs of any part of `pictures`; only the teacher says what is right in them.
    negative: share of pairs whose template shows another target. blank: share of pairs whose search
    is of one colour, as when a camera is covered.
    rivals: share of pairs around another thing in the same frame, where one is known.
    shift: of the target from the middle of the search crop, in pixels, either way.
    scale: of the search crop, either way: 0.2 is 0.8 to 1.25.
    gray: share of pairs without colour. flip: share of pairs that are mirrored.
    clips: rendered for validation. clip_frames: in each.
    choice: folders of sequences to validate by, too.
    marked: a table of boxes in videos to validate by, too; empty for none. videos: their folder.
    pictures: files and folders of pictures and videos; crops of them teach features, and pairs of
    anything are of them.
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
        if not all(0 <= share <= 1 for share in (self.flip, self.rivals, self.blank)):
            raise ValueError("flip, rivals and blank must be in 0..1")
        if self.clips < 0 or self.clip_frames < 2:
            raise ValueError("clips must be >= 0 and clip_frames >= 2")
        if not (self.clips or self.marked or self.choice):
            raise ValueError("clips must be >= 1 where neither marked nor choice is given")


@dataclass(frozen=True)
class TeacherConfig:
    """A published network that teaches.

    model: its preset. weights: its file; empty looks for it as `siamcorr track` does.
    features: weight of the error of the features. maps: weight of its scores and boxes as targets.
    always: its maps count wherever no mark says that the target is absent; otherwise in those pairs
    alone in which it finds what is marked.
    inner: weight of the error of inner maps, those of `layers`: modules of the student's head, and
    for each the modules of the teacher's head that it should know about.
    """

    model: str
    weights: str = ""
    features: float = 1.0
    maps: float = 1.0
    always: bool = False
    inner: float = 0.0
    layers: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.features, self.maps, self.inner) < 0:
            raise ValueError("features, maps and inner must be >= 0")
        if bool(self.inner) != bool(self.layers):
            raise ValueError("inner is the weight of layers: both must be given, or neither")


PARTS = ("backbone", "neck", "head")  # of a network


@dataclass(frozen=True)
class TrainConfig:
    """How a run goes.

    model: a preset. output: folder for checkpoints and logs.
    learns: "pairs", or "features": the backbone learns the teacher's features of any crop.
    teacher: the network that teaches, if any does. marks: weight of what people marked.
    initial: weights of the network, to go on from; empty for random ones. initial_parts: the parts
    of it that are taken, "backbone" or "head"; the others begin at random.
    pairs: an epoch has so many. batch: over all processes together.
    optimizer: "adamw" or "sgd". rate: the highest learning rate; backbone_rate: the backbone's
    share of it. warmup: steps up to it; from there it falls as half a cosine.
    unfreeze: the epoch from which the backbone learns, too; counted from 0.
    norms: whether its batch norms learn with it; they keep their statistics otherwise.
    clip: the gradient's norm at most. average: of the moving average of weights (EMA).
    workers: processes that make pairs, for each process that trains.
    """

    model: str
    output: str
    data: DataConfig
    learns: str = "pairs"
    teacher: TeacherConfig | None = None
    marks: float = 1.0
    initial: str = ""
    initial_parts: tuple[str, ...] = PARTS
    epochs: int = 10
    pairs: int = 10000
    batch: int = 32
    optimizer: str = "adamw"
    rate: float = 1e-3
    backbone_rate: float = 0.1
    weight_decay: float = 1e-4
    warmup: int = 200
    unfreeze: int = 6
    norms: bool = False
    clip: float = 5.0
    average: float = 0.998
    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or self.pairs < self.batch:
            raise ValueError("epochs and batch must be >= 1, and pairs >= batch")
        if self.learns not in ("pairs", "features"):
            raise ValueError(f'learns must be "pairs" or "features", got {self.learns!r}')
        if self.learns == "features" and self.teacher is None:
            raise ValueError('learns = "features" needs a teacher')
        if self.marks < 0:
            raise ValueError(f"marks must be >= 0, got {self.marks}")
        if self.optimizer not in ("adamw", "sgd"):
            raise ValueError(f'optimizer must be "adamw" or "sgd", got {self.optimizer!r}')
        if self.rate <= 0 or self.backbone_rate < 0 or self.clip <= 0:
            raise ValueError("rate and clip must be > 0, backbone_rate >= 0")
        if not 0 <= self.average < 1 or self.workers < 0 or self.warmup < 0:
            raise ValueError("average must be in 0..1, workers and warmup >= 0")
        if self.batch > 1 << 16 or self.workers > 256:
            raise ValueError("batch must be at most 65536, workers 256")


def load_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a run's file; `changes` are key=value, data.key=value for a table's.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file, or a change names no key.
    """
    path = Path(path)
    table = read_toml(path)
    try:
        for change in changes:
            _set(table, change)
    except RecursionError:
        raise ValueError("--set: a value nested too deep") from None
    return from_mapping(TrainConfig, table, path.name)


def _set(table: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *tables, key = name.strip().split(".")
    if not equals or not key:
        raise ValueError(f"--set takes key=value, got {change!r}")
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ValueError(f"--set {change}: {part} is no table")
    try:
        table[key] = tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # no TOML, or a number of thousands of digits
        table[key] = text.strip()
