"""A pyramid of search crops, one score per cell: the recipe of SiamFC."""

import cv2
import numpy as np

from siamcorr.tracking.boxes import Image
from siamcorr.tracking.crops import Color, Crop
from siamcorr.tracking.decoding import Map, cosine_window, target_score
from siamcorr.tracking.recipes.base import Recipe, Step
from siamcorr.tracking.target import Pair, Target

SMALLEST, LARGEST = 0.2, 5.0  # limits of the target's size, relative to its first size


class ScaleRecipe(Recipe):
    """Search at several scales; the best peak gives the target's place and scale.

    Reference:
        Bertinetto et al., 2016, arXiv:1606.09549.
    """

    def search_crops(self, frame: Image, target: Target, fill: Color) -> list[Crop]:
        """Cut squares around the target's last place, from the smallest to the largest."""
        size = self.crop.search_size
        factor = size / self.crop.template_size
        return [
            self._cut(frame, target, factor * scale, size, fill) for scale in self.scale_steps()
        ]

    def follow(
        self,
        logits: Map,
        boxes: Map,
        crops: list[Crop],
        target: Target,
    ) -> Step:
        """Move to the peak of the best scale; change the size by a share of that scale."""
        config = self.config.scales
        cells = logits.shape[-1] * config.upsample
        maps = [_upsample(response[0], cells) for response in logits]
        damping = np.full(len(maps), config.penalty)
        damping[len(maps) // 2] = 1.0
        best = int(np.argmax([response.max() for response in maps] * damping))
        row, column = self._peak(maps[best])
        step = self.config.stride / config.upsample
        middle = len(crops[best].image) / 2
        x, y = (middle + (place - (cells - 1) / 2) * step for place in (column, row))
        score = target_score(logits[best])[0]
        size = self.resize_target(target, best)
        moved = target.move_to(crops[best].to_frame(x, y), size, self.config.smallest)
        return Step(moved, float(score.max()), score)

    def scale_steps(self) -> list[float]:
        """Scales of the pyramid: step^-1, 1, step for a count of 3."""
        config = self.config.scales
        return [config.step ** (index - config.count // 2) for index in range(config.count)]

    def resize_target(self, target: Target, best: int) -> Pair:
        """The target's new size: a share of the way to the best scale."""
        rate = self.config.learning_rate
        scale = 1 - rate + rate * self.scale_steps()[best]
        # One factor for both sides keeps the ratio.
        now = target.size[0] * scale / target.first_size[0]
        factor = float(np.clip(now, SMALLEST, LARGEST)) / now * scale
        return target.size[0] * factor, target.size[1] * factor

    def _peak(self, response: Map) -> tuple[int, int]:
        """Row and column of the peak after mixing in the window that prefers the centre."""
        share = response - response.min()
        share = share / (share.sum() + 1e-16)
        window = cosine_window(len(response))
        weight = self.config.window
        chosen = (1 - weight) * share + weight * window / window.sum()
        row, column = np.unravel_index(int(chosen.argmax()), chosen.shape)
        return int(row), int(column)


def _upsample(response: Map, cells: int) -> Map:
    return cv2.resize(response, (cells, cells), interpolation=cv2.INTER_CUBIC).astype(np.float32)
