"""Dataset of pairs: a template crop, a search crop, and the target's box in the search crop.

A pair depends only on the seed and its number, so that the pairs are the same for any number of
workers and processes, and in a resumed run.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from siamcorr.data.datasets.sequences import find_sequences
from siamcorr.data.pairs.any_picture import Anything
from siamcorr.data.pairs.footage import Footage
from siamcorr.data.pairs.labelled import Labelled
from siamcorr.data.pairs.stills import Stills
from siamcorr.data.synthetic.clips import Box, Image
from siamcorr.data.synthetic.effects import cover, deform, degrade, smear
from siamcorr.data.synthetic.library import Library
from siamcorr.data.synthetic.photo_warps import photo_pair
from siamcorr.data.synthetic.scenes import Scene
from siamcorr.models import Preset
from siamcorr.tracking.crops import Crop, context_box, crop_box, mean_color
from siamcorr.training.config import DataConfig

Source = Callable[[np.random.Generator], list[tuple[Image, Box]]]


class Pair(NamedTuple):
    """One pair, or a batch of them.

    template: (3, 127, 127) uint8, in the network's colour order. search: (3, 255, 255), likewise.
    box: (4,) left, top, right, bottom of the target in the search crop, in pixels.
    present: 1; 0 if the template shows another target, or the search crop does not show it.
    marked: 1; 0 if box and present are arbitrary, and only a teacher gives targets. A template of
        another picture needs no annotation: its target is absent.
    """

    template: Tensor
    search: Tensor
    box: Tensor
    present: Tensor
    marked: Tensor


class PairDataset(Dataset[Pair]):
    """Training pairs, different ones in every epoch.

    Args:
        library: photographs and cut-outs.
        preset: gives the sizes of the crops and the colour order.
        config: see `DataConfig`.
        count: pairs per epoch.
        seed: seed of all pairs.
    """

    def __init__(
        self, library: Library, preset: Preset, config: DataConfig, count: int, seed: int
    ) -> None:
        self.library, self.preset, self.config = library, preset, config
        self.count, self.seed = count, seed
        self.sources: list[tuple[float, Source]] = [
            (config.scenes, self._scene),
            (config.photos, self._photo),
        ]
        if config.footage > 0:
            videos = [Path(path).expanduser() for path in config.unlabelled]
            self.sources.append((config.footage, Footage(videos).pair))
        if config.labelled > 0:
            folders = [Path(path).expanduser() for path in config.sequences]
            found = [sequence for folder in folders for sequence in find_sequences(folder)]
            self.sources.append((config.labelled, Labelled(found).pair))
        if config.stills > 0:
            self.sources.append((config.stills, Stills(config.boxed).pair))
        self.unmarked = Anything(config.pictures).pair if config.anything > 0 else None
        if self.unmarked is not None:
            self.sources.append((config.anything, self.unmarked))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        """Return the pair with this number; numbers beyond the length are those of later epochs."""
        rng = np.random.default_rng([self.seed, index])
        source = self._source(rng)
        frames = [*source(rng)]
        present = rng.random() >= self.config.negative
        template_frame = frames[0] if present else self._source(rng)(rng)[0]
        template, _ = self._cut(*template_frame, rng, self.preset.crop.template_size, jitter=False)
        covered = self.config.covered > 0 and rng.random() < self.config.covered
        if covered:
            frames[1] = cover(*frames[1], self._source(rng)(rng)[0][0], rng), frames[1][1]
        search, box, seen = self._search(frames, rng)
        gray = rng.random() < self.config.gray
        shown, looked = template.image, search.image
        if self.config.deformed > 0 and rng.random() < self.config.deformed:
            looked, box = deform(looked, box, rng)
        if self.config.smeared > 0 and rng.random() < self.config.smeared:
            looked = smear(looked, box, rng)
        if self.config.flip > 0 and rng.random() < self.config.flip:
            shown, looked = shown[:, ::-1], looked[:, ::-1]
            box = [looked.shape[1] - box[2], box[1], looked.shape[1] - box[0], box[3]]
        blank = self.config.blank > 0 and rng.random() < self.config.blank
        if blank:
            looked = np.full_like(looked, rng.integers(256, size=3) * rng.integers(2))
        absent = blank or covered or not (present and seen)
        return Pair(
            self._tensor(shown, rng, gray),
            self._tensor(looked, rng, gray),
            torch.tensor(box, dtype=torch.float32),
            torch.tensor(float(not absent)),
            torch.tensor(float(absent or source is not self.unmarked)),
        )

    def _source(self, rng: np.random.Generator) -> Source:
        """Choose a source; it gives two frames of one target, for template and search."""
        shares = np.array([share for share, _ in self.sources])
        return self.sources[rng.choice(len(shares), p=shares / shares.sum())][1]

    def _scene(self, rng: np.random.Generator) -> list[tuple[Image, Box]]:
        scene = Scene(self.library, rng, self.config.scene)
        start = rng.uniform(0, 4)
        return [scene.clean_frame(start), scene.clean_frame(start + rng.uniform(0, 3))]

    def _photo(self, rng: np.random.Generator) -> list[tuple[Image, Box]]:
        return photo_pair(self.library.photo(rng), rng)

    def _search(
        self, frames: list[tuple[Image, Box]], rng: np.random.Generator
    ) -> tuple[Crop, list[float], bool]:
        """Return the search crop, the target's box in it, and whether the target is in it.

        With probability `elsewhere`, the crop is at a random place of the frame, without the
        target. With probability `rivals`, it is around another object, if there is one. This is not
        done if the crop's edge would cut the target, because its presence would be ambiguous.
        """
        size = self.preset.crop.search_size
        image, box = frames[1]
        if self.config.elsewhere > 0 and rng.random() < self.config.elsewhere:
            x, y = rng.random(2) * (image.shape[1] - box[2], image.shape[0] - box[3])
            place = float(x), float(y), *box[2:]
            cut, within = self._cut(image, box, rng, size, jitter=True, around=place)
            if outside(within, size):
                return cut, within, False
        if len(frames) > 2 and rng.random() < self.config.rivals:
            cut, within = self._cut(image, box, rng, size, jitter=True, around=frames[2][1])
            left, top, right, bottom = within
            inside = 0 < (left + right) / 2 < size and 0 < (top + bottom) / 2 < size
            if inside or outside(within, size):
                return cut, within, inside
        return *self._cut(image, box, rng, size, jitter=True), True

    def _cut(
        self,
        image: Image,
        box: Box,
        rng: np.random.Generator,
        size: int,
        jitter: bool,
        around: Box | None = None,
    ) -> tuple[Crop, list[float]]:
        """Cut a crop near the target or near `around`; return it and the target's box in it."""
        crop, config = self.preset.crop, self.config
        x, y, w, h = box
        sides = np.array(context_box(w, h, crop.context, crop.keep_ratio))
        factor = size / crop.template_size
        place = around or box
        center = np.array([place[0] + place[2] / 2, place[1] + place[3] / 2])
        low = np.log(1 - config.scale) if jitter else -0.05
        factor *= float(np.exp(rng.uniform(low, abs(low))))
        reach = config.shift if jitter else 4.0
        center -= rng.uniform(-reach, reach, size=2) / size * sides * factor
        width, height = (float(side * factor) for side in sides)
        middle = float(center[0]), float(center[1])
        cut = crop_box(image, middle, (width, height), size, mean_color(image))
        fx, fy = size / cut.width, size / cut.height
        left, top = (x - cut.left) * fx, (y - cut.top) * fy
        return cut, [left, top, left + w * fx, top + h * fy]

    def _tensor(self, image: Image, rng: np.random.Generator, gray: bool) -> Tensor:
        taken = degrade(image, rng, int(rng.integers(2**31)))
        if gray:
            taken = np.repeat(taken.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
        if self.preset.crop.color == "bgr":
            taken = taken[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(taken.transpose(2, 0, 1)))


def outside(box: list[float], size: int) -> bool:
    """Return whether no part of a box (left, top, right, bottom) is in a square of this side."""
    left, top, right, bottom = box
    return left >= size or top >= size or right <= 0 or bottom <= 0


def batches(dataset: PairDataset, count: int, size: int) -> Iterator[Pair]:
    """The first pairs of a dataset, in batches of a size."""
    for first in range(0, count, size):
        yield collate([dataset[index] for index in range(first, min(first + size, count))])


def collate(pairs: list[Any]) -> Pair:
    """Stack pairs to a batch."""
    return Pair(*(torch.stack(parts) for parts in zip(*pairs, strict=True)))
