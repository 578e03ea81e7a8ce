"""Folder layouts of published datasets: one function per layout.

A layout finds the paths of sequences and reads no files. It finds nothing in a folder with another
layout, so the layouts can be tried one after the other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from siamcorr.data.datasets.attributes import GOT10K, LASOT, OTB, UAV123, About
from siamcorr.data.datasets.folders import (
    VIDEO_SUFFIXES,
    files_of,
    folders_of,
    frames_in,
    has_any,
    listed_in,
)


@dataclass(frozen=True)
class Place:
    """Paths of one sequence; any of the files may be missing.

    name: of the sequence. frames: a folder of images, or a video. truth: the file of boxes.
    labels: files of flags. absent: a label's name, and its value in frames without the target.
    about: file with attributes of the whole sequence.
    first: number of the first box's image; None if it is the first image.
    ends: whether the sequence ends with its last box.
    """

    name: str
    frames: Path
    truth: Path
    labels: tuple[Path, ...] = ()
    absent: Mapping[str, bool] = field(default_factory=dict)
    about: About | None = None
    first: int | None = None
    ends: bool = False


@dataclass(frozen=True)
class Layout:
    """Function that finds the sequences of a folder, and its pattern for error messages."""

    find: Callable[[Path], Iterator[Place]]
    looks_for: str


# UAV123 cuts some clips into parts: the first image of a part, if that is not image 1.
UAV123_FIRST = {
    "bird1_2": 775, "bird1_3": 1573, "car1_2": 751, "car1_3": 1627, "car6_2": 487,
    "car6_3": 1807, "car6_4": 2953, "car6_5": 3925, "car8_2": 1357, "car16_2": 415,
    "group1_2": 1333, "group1_3": 2515, "group1_4": 3925, "group2_2": 907, "group2_3": 1771,
    "group3_2": 1567, "group3_3": 2827, "group3_4": 4369, "person2_2": 1189, "person4_2": 1501,
    "person5_2": 877, "person7_2": 1249, "person8_2": 1075, "person12_2": 601, "person14_2": 847,
    "person14_3": 1813, "person17_2": 1501, "person19_2": 1243, "person19_3": 2791,
    "truck4_2": 577, "uav1_2": 1555, "uav1_3": 2473,
}  # fmt: skip
OTB_FIRST = {"David": 300}  # image of the first box; the images begin earlier


def find_uav123(folder: Path) -> Iterator[Place]:
    """Find anno/UAV123/NAME.txt and data_seq/UAV123/NAME/*.jpg; parts share their clip's images.

    Attributes are in anno/UAV123/att/NAME.txt.
    """
    images, truths = folder / "data_seq" / "UAV123", sorted(folder.glob("anno/UAV123/*.txt"))
    unused = {path.name for path in folders_of(images)} if truths else set()
    for truth in truths:
        clip, _, part = truth.stem.rpartition("_")
        is_part = part.isdecimal() and not (images / truth.stem).is_dir()
        frames = images / (clip if is_part else truth.stem)
        first = UAV123_FIRST.get(truth.stem, 1) if is_part else None
        unused.discard(frames.name)
        about = _about([truth.parent / "att" / truth.name], UAV123)
        yield Place(truth.stem, frames, truth, about=about, first=first, ends=is_part)
    for name in sorted(unused):
        yield Place(name, images / name, folder / "anno" / "UAV123" / f"{name}.txt")


def find_otb(folder: Path) -> Iterator[Place]:
    """Find NAME/{img/*.jpg, groundtruth_rect.txt}, or one groundtruth_rect.N.txt per target.

    Human4 has an empty file for a second target, which is ignored. Attributes are in
    NAME/attrs.txt, or in the toolkits' anno/att/NAME.txt or attr_list.txt beside NAME.
    """
    if not has_any(folder, "*/groundtruth_rect*.txt"):
        return
    for path in folders_of(folder):
        found = sorted(path.glob("groundtruth_rect*.txt"))
        truths = [truth for truth in found if truth.stat().st_size >= len("0 0 1 1")]
        frames, first = frames_in(path), OTB_FIRST.get(path.name)
        if len(truths) > 1:
            places = [(f"{path.name}.{number}", truth) for number, truth in enumerate(truths, 1)]
        elif found or frames:
            places = [(path.name, [*truths, *found, path / "groundtruth_rect.txt"][0])]
        else:
            places = []
        for name, truth in places:
            about = _about_otb(folder, path, name)
            yield Place(name, frames or path, truth, about=about, first=first, ends=True)


def find_lasot(folder: Path) -> Iterator[Place]:
    """Find CLASS-N/{img/*.jpg, groundtruth.txt, full_occlusion.txt, out_of_view.txt}.

    They are in the folder itself or in one folder per class. Attributes are in att/NAME.txt or, as
    in the toolkit, in annos/att/NAME.txt.
    """
    absent = {"full_occlusion": True, "out_of_view": True}
    flat = has_any(folder, *(f"*/{name}.txt" for name in absent))
    nested = (f"*/*/{name}" for name in ("img/00000001.jpg", *(f"{name}.txt" for name in absent)))
    if not flat and not has_any(folder, *nested):
        return
    for parent in [folder] if flat else folders_of(folder):
        for path in folders_of(parent):
            truth, frames = path / "groundtruth.txt", frames_in(path)
            if truth.is_file() or frames:
                labels = (path / f"{name}.txt" for name in absent)
                found = tuple(label for label in labels if label.is_file())
                tables = (folder / inner / f"{path.name}.txt" for inner in ("att", "annos/att"))
                about = _about(tables, LASOT)
                yield Place(path.name, frames or path, truth, found, absent, about)


def find_got10k(folder: Path) -> Iterator[Place]:
    """Find NAME/{*.jpg, groundtruth.txt, {absence,cover,cut_by_image}.label, meta_info.ini}.

    They are in the folder itself or in its train, val and test. A cover level above 0 means that
    the target is at least partly visible; the public toolkit scores only those frames.
    """
    subsets = [path for path in folders_of(folder) if path.name in ("train", "val", "test")]
    roots = [path for path in subsets if has_any(path, "*/groundtruth.txt")]
    if not roots and has_any(folder, "*/absence.label", "GOT-10k_*/groundtruth.txt"):
        roots = [folder]
    for path in (path for root in roots for path in listed_in(root)):
        labels = tuple(sorted(path.glob("*.label")))
        absent = {"absence": True, "cover": False}
        truth, about = path / "groundtruth.txt", _about([path / "meta_info.ini"], GOT10K)
        yield Place(path.name, frames_in(path) or path, truth, labels, absent, about)


def find_vot(folder: Path) -> Iterator[Place]:
    """Find NAME/groundtruth.txt with images in NAME, NAME/color or NAME/img, or with a video."""
    if not has_any(folder, "*/groundtruth.txt"):
        return
    for path in listed_in(folder):
        labels = tuple(sorted([*path.glob("*.tag"), *path.glob("*.label")]))
        yield Place(path.name, frames_in(path) or path, path / "groundtruth.txt", labels)


def find_plain(folder: Path) -> Iterator[Place]:
    """Find videos, each with a .csv or .txt of the same name beside it."""
    videos = files_of(folder, VIDEO_SUFFIXES)
    truths = [path.with_suffix(".csv") for path in videos]
    truths = [path if path.is_file() else path.with_suffix(".txt") for path in truths]
    if any(truth.is_file() for truth in truths):
        for video, truth in zip(videos, truths, strict=True):
            yield Place(video.stem, video, truth)


# In this order; the first layout that finds a sequence is used.
LAYOUTS = {
    "uav123": Layout(find_uav123, "anno/UAV123/NAME.txt"),
    "otb": Layout(find_otb, "NAME/groundtruth_rect.txt"),
    "lasot": Layout(find_lasot, "CLASS/CLASS-N/full_occlusion.txt or CLASS-N/full_occlusion.txt"),
    "got10k": Layout(find_got10k, "train|val|test/NAME/groundtruth.txt or NAME/absence.label"),
    "vot": Layout(find_vot, "NAME/groundtruth.txt"),
    "plain": Layout(find_plain, "NAME.mp4 with NAME.csv or NAME.txt"),
}


def _about(paths: Iterable[Path], columns: tuple[str, ...]) -> About | None:
    """The first of the files that exists."""
    found = (path for path in paths if path.is_file())
    return next((About(path, columns) for path in found), None)


def _about_otb(folder: Path, sequence: Path, name: str) -> About | None:
    """Attribute file of an OTB sequence; the toolkits call Jogging's first target jogging-1."""
    keys = (name.replace(".", "-").lower(), sequence.name.lower())
    flags = {path.stem.lower(): path for path in folder.glob("anno/att/*.txt")}
    own = [sequence / "attrs.txt", *(flags[key] for key in keys if key in flags)]
    listed = folder / "attr_list.txt"
    return _about(own, OTB) or (About(listed, OTB, keys) if listed.is_file() else None)
