"""A circular response and a filter that is updated every frame: the recipe of DCFNet."""

import numpy as np

from siamcorr.tracking.crops import Crop
from siamcorr.tracking.decoding import Map
from siamcorr.tracking.recipes.base import Step
from siamcorr.tracking.recipes.scales import ScaleRecipe
from siamcorr.tracking.target import Target


class FilterRecipe(ScaleRecipe):
    """The pyramid of `ScaleRecipe`; the peak's offset from [0, 0] is the target's shift.

    Reference:
        Wang et al., DCFNet, 2017, arXiv:1704.04057.
    """

    def follow(
        self,
        logits: Map,
        boxes: Map,
        crops: list[Crop],
        target: Target,
    ) -> Step:
        """Move by the peak's shift at the best scale."""
        middle = len(crops) // 2
        peaks = [
            response.max() * self.config.scales.penalty ** abs(index - middle)
            for index, response in enumerate(logits[:, 0])
        ]
        best = int(np.argmax(peaks))
        response = logits[best, 0]
        cells = len(response)
        row, column = (int(i) for i in np.unravel_index(int(response.argmax()), response.shape))
        out = len(crops[best].image)
        x, y = (
            out / 2 + (place - cells if place > cells / 2 else place) * self.config.stride
            for place in (column, row)
        )
        size = self.resize_target(target, best)
        moved = target.move_to(crops[best].to_frame(x, y), size, self.config.smallest)
        score = np.clip(np.fft.fftshift(response), 0, 1)
        return Step(moved, float(score.max()), score)
