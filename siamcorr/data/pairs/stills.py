"""Pairs from photographs with annotated boxes, and with a similar object as a distractor."""

import csv
from pathlib import Path

import numpy as np

from siamcorr.data.pairs.picture_stock import read_shrunk
from siamcorr.data.synthetic.clips import Box, Image
from siamcorr.data.synthetic.photo_warps import warped_pair

SMALLEST = 16.0  # pixels; smaller boxes are no targets
LARGEST = 0.6  # of the picture's width and height; larger boxes are no targets


class Stills:
    """The photographs of a folder with a table boxes.csv: file, x, y, w, h, class.

    Args:
        folder: "~" is the user's home.

    Raises:
        OSError: the table or a picture cannot be read.
        ValueError: the table has other columns, or no box of a usable size.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder).expanduser()
        table = folder / "boxes.csv"
        self.pictures: dict[str, Image] = {}
        self.scales: dict[str, float] = {}
        self.boxes: dict[str, list[tuple[Box, str]]] = {}
        self.targets: list[tuple[str, int]] = []
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                try:
                    name, kind = row["file"], row["class"]
                    x, y, w, h = (float(row[key]) for key in "xywh")
                except (KeyError, TypeError, ValueError):
                    text = f"{table}: a row must have file, x, y, w, h, class, got {row}"
                    raise ValueError(text) from None
                self._add(folder, name, (x, y, w, h), kind)
        if not self.targets:
            raise ValueError(f"{table}: no box of a usable size")

    def _add(self, folder: Path, name: str, box: Box, kind: str) -> None:
        if name not in self.pictures:
            self.pictures[name], self.scales[name] = read_shrunk(folder / name)
            self.boxes[name] = []
        height, width = self.pictures[name].shape[:2]
        x, y, w, h = (value * self.scales[name] for value in box)
        if min(w, h) >= SMALLEST and w <= LARGEST * width and h <= LARGEST * height:
            self.targets.append((name, len(self.boxes[name])))
        self.boxes[name].append(((x, y, w, h), kind))

    def pair(self, rng: np.random.Generator) -> list[tuple[Image, Box]]:
        """Two views of a photograph with a target's box_xywh, see `warped_pair`.

        If the picture has another object, a third item is the second view with that object's box:
        a distractor, of the same class if there is one.
        """
        name, index = self.targets[rng.integers(len(self.targets))]
        box, kind = self.boxes[name][index]
        others = [other for i, other in enumerate(self.boxes[name]) if i != index]
        distractors = [one for one, of in others if of == kind] or [one for one, _ in others]
        chosen = [distractors[rng.integers(len(distractors))]] if distractors else []
        return warped_pair(self.pictures[name], [box, *chosen], rng)
