"""List the contents of a folder: files, folders, frames and sequences."""

from collections.abc import Set
from pathlib import Path

from siamcorr.media.images import IMAGE_SUFFIXES, natural_key

VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)


def files_of(folder: Path, suffixes: Set[str]) -> list[Path]:
    """The files of a folder that have one of the suffixes, in natural order."""
    files = (path for path in entries_of(folder) if path.suffix.lower() in suffixes)
    return sorted(files, key=natural_key)


def has_any(folder: Path, *patterns: str) -> bool:
    """Whether any of the glob patterns matches."""
    return any(any(folder.glob(pattern)) for pattern in patterns)


def entries_of(folder: Path) -> list[Path]:
    """Entries of a folder without hidden files and __MACOSX; none if it is not a folder."""
    try:
        return [
            path for path in folder.iterdir() if path.name[0] != "." and path.name != "__MACOSX"
        ]
    except OSError:
        return []


def folders_of(folder: Path) -> list[Path]:
    """The folders inside a folder, sorted."""
    return sorted(path for path in entries_of(folder) if path.is_dir())


def listed_in(folder: Path) -> list[Path]:
    """The sequences in list.txt if the folder has one, else its folders that hold a sequence."""
    names = folder / "list.txt"
    if names.is_file():
        lines = names.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        return [folder / Path(line.strip()).name for line in lines if line.strip()]
    return [
        path
        for path in folders_of(folder)
        if (path / "groundtruth.txt").is_file() or frames_in(path) is not None
    ]


def frames_in(path: Path) -> Path | None:
    """The frames of a sequence: a folder of images or a video; None if there are none."""
    for inner in (path / "color", path / "img"):
        if inner.is_dir():
            return inner
    if files_of(path, IMAGE_SUFFIXES):
        return path
    return next(iter(files_of(path, VIDEO_SUFFIXES)), None)
