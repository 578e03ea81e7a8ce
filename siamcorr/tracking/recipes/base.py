"""Base class of the recipes: the template crop, the search crops, and the decoding."""

from typing import NamedTuple

from siamcorr.models import Preset
from siamcorr.tracking.boxes import Image
from siamcorr.tracking.crops import Color, Crop, context_box, crop_box
from siamcorr.tracking.decoding import Map
from siamcorr.tracking.target import Target


class Step(NamedTuple):
    """The target's new place, its score in 0..1, and the score map (S, S)."""

    target: Target
    score: float
    response: Map


class Recipe:
    """Cut crops for a target, and decode the network's maps to its new place.

    Args:
        preset: its crop and recipe tables hold the settings.
    """

    def __init__(self, preset: Preset) -> None:
        self.crop = preset.crop
        self.config = preset.recipe

    def template_crop(self, frame: Image, target: Target, fill: Color) -> Crop:
        """Cut the target with its context, for the template branch."""
        return self._cut(frame, target, 1.0, self.crop.template_size, fill)

    def search_crops(self, frame: Image, target: Target, fill: Color) -> list[Crop]:
        """Cut the crops to search for the target, all of one size."""
        raise NotImplementedError

    def follow(
        self,
        logits: Map,
        boxes: Map,
        crops: list[Crop],
        target: Target,
    ) -> Step:
        """Decode the maps of the crops, (N, …, S, S) each, to the target's new place."""
        raise NotImplementedError

    def _cut(self, frame: Image, target: Target, factor: float, size: int, fill: Color) -> Crop:
        """A crop `factor` times as wide as the template's."""
        width, height = context_box(*target.size, self.crop.context, self.crop.keep_ratio)
        return crop_box(frame, target.center, (width * factor, height * factor), size, fill)
