"""Where published datasets keep their sequences: a function for each layout.

A layout says where the parts of a sequence lie and reads none of them. It finds nothing in a
folder that is laid out in another way, so that the layouts can be tried one after the other.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from siamcorr.media.sources import IMAGE_SUFFIXES, natural_key

VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)


@dataclass(frozen=True)
class Place:
    """Where one sequence lies; any of it may be missing.

    name: of the sequence. frames: a folder of images, or a video. truth: the file of boxes.
    labels: files of flags. absent: a label's name and the flag that says the target is not there.
    first: number of the image that the first box belongs to; the sequence ends with the boxes.
    """

    name: str
    frames: Path
    truth: Path
    labels: tuple[Path, ...] = ()
    absent: Mapping[str, bool] = field(default_factory=dict)
    first: int | None = None


@dataclass(frozen=True)
class Layout:
    """How to find the sequences of a folder, and what that looks for, in words."""

    find: Callable[[Path], Iterator[Place]]
    looks_for: str


# Images of the parts into which UAV123 cuts some of its clips; other parts begin with image 1.
UAV123_FIRST = {
    "bird1_2": 775, "bird1_3": 1573, "car1_2": 751, "car1_3": 1627, "car6_2": 487,
    "car6_3": 1807, "car6_4": 2953, "car6_5": 3925, "car8_2": 1357, "car16_2": 415,
    "group1_2": 1333, "group1_3": 2515, "group1_4": 3925, "group2_2": 907, "group2_3": 1771,
    "group3_2": 1567, "group3_3": 2827, "group3_4": 4369, "person2_2": 1189, "person4_2": 1501,
    "person5_2": 877, "person7_2": 1249, "person8_2": 1075, "person12_2": 601, "person14_2": 847,
    "person14_3": 1813, "person17_2": 1501, "person19_2": 1243, "person19_3": 2791,
    "truck4_2": 577, "uav1_2": 1555, "uav1_3": 2473,
}  # fmt: skip
OTB_FIRST = {"David": 300}  # its boxes begin there, its images earlier


def files_of(folder: Path, suffixes: Set[str]) -> list[Path]:
    """The files of a folder that have one of the suffixes, in natural order."""
    files = (path for path in _entries(folder) if path.suffix.lower() in suffixes)
    return sorted(files, key=natural_key)


def find_uav123(folder: Path) -> Iterator[Place]:
    """Find anno/UAV123/NAME.txt and data_seq/UAV123/NAME/*.jpg; a part has its clip's images."""
    images, truths = folder / "data_seq" / "UAV123", sorted(folder.glob("anno/UAV123/*.txt"))
    unused = {path.name for path in _folders(images)} if truths else set()
    for truth in truths:
        clip, _, part = truth.stem.rpartition("_")
        is_part = part.isdecimal() and not (images / truth.stem).is_dir()
        frames = images / (clip if is_part else truth.stem)
        first = UAV123_FIRST.get(truth.stem, 1) if is_part else None
        unused.discard(frames.name)
        yield Place(truth.stem, frames, truth, first=first)
    for name in sorted(unused):
        yield Place(name, images / name, folder / "anno" / "UAV123" / f"{name}.txt")


def find_otb(folder: Path) -> Iterator[Place]:
    """Find NAME/{img/*.jpg, groundtruth_rect.txt}, or a groundtruth_rect.N.txt a target.

    Human4 has an empty file for a target that it has not; the other one is then alone.
    """
    if not _has(folder, "*/groundtruth_rect*.txt"):
        return
    for path in _folders(folder):
        found = sorted(path.glob("groundtruth_rect*.txt"))
        truths = [truth for truth in found if truth.stat().st_size >= len("0 0 1 1")]
        frames, first = _pictures(path), OTB_FIRST.get(path.name)
        if len(truths) > 1:
            for number, truth in enumerate(truths, 1):
                yield Place(f"{path.name}.{number}", frames or path, truth, first=first)
        elif found or frames:
            truth = [*truths, *found, path / "groundtruth_rect.txt"][0]
            yield Place(path.name, frames or path, truth, first=first)


def find_lasot(folder: Path) -> Iterator[Place]:
    """Find CLASS-N/{img/*.jpg, groundtruth.txt, full_occlusion.txt, out_of_view.txt}.

    They lie in the folder itself or in one folder a class.
    """
    absent = {"full_occlusion": True, "out_of_view": True}
    flat = _has(folder, *(f"*/{name}.txt" for name in absent))
    nested = (f"*/*/{name}" for name in ("img/00000001.jpg", *(f"{name}.txt" for name in absent)))
    if not flat and not _has(folder, *nested):
        return
    for parent in [folder] if flat else _folders(folder):
        for path in _folders(parent):
            truth, frames = path / "groundtruth.txt", _pictures(path)
            if truth.is_file() or frames:
                labels = (path / f"{name}.txt" for name in absent)
                found = tuple(label for label in labels if label.is_file())
                yield Place(path.name, frames or path, truth, found, absent)


def find_got10k(folder: Path) -> Iterator[Place]:
    """Find NAME/{*.jpg, groundtruth.txt, absence.label, cover.label, cut_by_image.label}.

    They lie in the folder itself or in its train, val and test. A level of cover above 0 says that
    something of the target is seen, and the public toolkit scores those frames alone.
    """
    subsets = [path for path in _folders(folder) if path.name in ("train", "val", "test")]
    roots = [path for path in subsets if _has(path, "*/groundtruth.txt")]
    if not roots and _has(folder, "*/absence.label", "GOT-10k_*/groundtruth.txt"):
        roots = [folder]
    for path in (path for root in roots for path in _listed(root)):
        labels = tuple(sorted(path.glob("*.label")))
        absent = {"absence": True, "cover": False}
        yield Place(path.name, _pictures(path) or path, path / "groundtruth.txt", labels, absent)


def find_vot(folder: Path) -> Iterator[Place]:
    """Find NAME/groundtruth.txt with images there, in color or in img, or with a video."""
    if not _has(folder, "*/groundtruth.txt"):
        return
    for path in _listed(folder):
        labels = tuple(sorted([*path.glob("*.tag"), *path.glob("*.label")]))
        yield Place(path.name, _pictures(path) or path, path / "groundtruth.txt", labels)


def find_plain(folder: Path) -> Iterator[Place]:
    """Find videos, each with a .csv or .txt of the same name beside it."""
    videos = files_of(folder, VIDEO_SUFFIXES)
    truths = [path.with_suffix(".csv") for path in videos]
    truths = [path if path.is_file() else path.with_suffix(".txt") for path in truths]
    if any(truth.is_file() for truth in truths):
        for video, truth in zip(videos, truths, strict=True):
            yield Place(video.stem, video, truth)


# In this order: a folder is taken for the first of them that finds something.
LAYOUTS = {
    "uav123": Layout(find_uav123, "anno/UAV123/NAME.txt"),
    "otb": Layout(find_otb, "NAME/groundtruth_rect.txt"),
    "lasot": Layout(find_lasot, "CLASS/CLASS-N/full_occlusion.txt or CLASS-N/full_occlusion.txt"),
    "got10k": Layout(find_got10k, "train|val|test/NAME/groundtruth.txt or NAME/absence.label"),
    "vot": Layout(find_vot, "NAME/groundtruth.txt"),
    "plain": Layout(find_plain, "NAME.mp4 with NAME.csv or NAME.txt"),
}


def _has(folder: Path, *patterns: str) -> bool:
    return any(any(folder.glob(pattern)) for pattern in patterns)


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, without what archives and systems leave; nothing if it is no folder."""
    try:
        return [
            path for path in folder.iterdir() if path.name[0] != "." and path.name != "__MACOSX"
        ]
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in _entries(folder) if path.is_dir())


def _listed(folder: Path) -> list[Path]:
    """The sequences that its list.txt names, where it has one, else those that it holds."""
    names = folder / "list.txt"
    if names.is_file():
        lines = names.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        return [folder / Path(line.strip()).name for line in lines if line.strip()]
    return [
        path
        for path in _folders(folder)
        if (path / "groundtruth.txt").is_file() or _pictures(path) is not None
    ]


def _pictures(path: Path) -> Path | None:
    """What holds a sequence's frames: a folder of images or a video."""
    for inner in (path / "color", path / "img"):
        if inner.is_dir():
            return inner
    if files_of(path, IMAGE_SUFFIXES):
        return path
    return next(iter(files_of(path, VIDEO_SUFFIXES)), None)
