"""What all recipes share: the template's crop, and the three steps of a frame."""

from typing import NamedTuple

from siamcorr.models import Preset
from siamcorr.tracking.boxes import Image
from siamcorr.tracking.crops import Color, Crop, context_box, crop_box
from siamcorr.tracking.decoding import Map
from siamcorr.tracking.target import Target


class Step(NamedTuple):
    """Where a frame moved the target: score in 0..1, and the map of scores (S, S)."""

    target: Target
    score: float
    response: Map


class Recipe:
    """Cut crops for a target, and follow the maps that a network made of them.

    Args:
        preset: its crop and recipe tables hold the numbers.
    """

    def __init__(self, preset: Preset) -> None:
        self.crop = preset.crop
        self.config = preset.recipe

    def template_crop(self, frame: Image, target: Target, fill: Color) -> Crop:
        """The target with some context, for the template's side."""
        return self._cut(frame, target, 1.0, self.crop.template_size, fill)

    def search_crops(self, frame: Image, target: Target, fill: Color) -> list[Crop]:
        """Where to look for the target, for the search side; one size for all."""
        raise NotImplementedError

    def follow(
        self,
        logits: Map,
        boxes: Map,
        crops: list[Crop],
        target: Target,
    ) -> Step:
        """Where the maps of the crops, (N, …, S, S) each, move the target."""
        raise NotImplementedError

    def _cut(self, frame: Image, target: Target, factor: float, size: int, fill: Color) -> Crop:
        """A crop `factor` times as wide as the template's."""
        width, height = context_box(*target.size, self.crop.context, self.crop.keep_ratio)
        return crop_box(frame, target.center, (width * factor, height * factor), size, fill)
