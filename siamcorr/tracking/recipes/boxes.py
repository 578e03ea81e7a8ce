"""One search crop, a box from every cell: the recipe of SiamRPN and its successors."""

from dataclasses import replace

from siamcorr.tracking.boxes import Image
from siamcorr.tracking.crops import Color, Crop
from siamcorr.tracking.decoding import (
    Best,
    Map,
    anchor_sizes,
    best_box,
    boxes_from_anchors,
    boxes_from_distances,
    point_grid,
    target_score,
)
from siamcorr.tracking.recipes.base import Recipe, Step
from siamcorr.tracking.target import Target

WINDOW_WHEN_LOST = 0.001  # a lost target may be anywhere


class BoxRecipe(Recipe):
    """For anchor-based and anchor-free heads; with `long_term`, a larger crop when lost.

    Reference:
        Li et al., SiamRPN, CVPR 2018, for the penalty, the window and the smoothed size;
        Li et al., SiamRPN++, 2018, arXiv:1812.11703, for the larger crop.
    """

    def search_crops(self, frame: Image, target: Target, fill: Color) -> list[Crop]:
        """One square around the target's last place."""
        size = self.config.long_term.search_size if target.lost else self.crop.search_size
        return [self._cut(frame, target, size / self.crop.template_size, size, fill)]

    def follow(
        self,
        logits: Map,
        boxes: Map,
        crops: list[Crop],
        target: Target,
    ) -> Step:
        """Move to the best box; a lower score smooths the size more."""
        crop = crops[0]
        points = point_grid(logits.shape[-1], self.config.stride, len(crop.image))
        if self.config.kind == "anchors":
            anchors = anchor_sizes(self.config.anchors)
            score = target_score(logits[0], anchors.shape[1])
            candidates = boxes_from_anchors(points, anchors, boxes[0])
        else:
            score = target_score(logits[0])
            candidates = boxes_from_distances(points, boxes[0])
        last = target.size[0] * crop.scale, target.size[1] * crop.scale
        window = WINDOW_WHEN_LOST if target.lost else self.config.window
        relative = self.config.relative_window
        best = best_box(score, candidates, last, self.config.penalty, window, relative)
        return Step(self._move(target, crop, best), best.score, score.max(axis=0))

    def _move(self, target: Target, crop: Crop, best: Best) -> Target:
        long_term = self.config.long_term
        if long_term.search_size and best.score < long_term.below:
            return replace(target, lost=True)  # stay, and search a larger crop
        hold_below = self.config.hold_below or self.config.lost_below
        if best.score < hold_below:  # the maps show something else: stay
            return target.move_to(target.center, target.size, self.config.smallest)
        rate = best.penalty * best.score * self.config.learning_rate
        width, height = (
            old * (1 - rate) + new / crop.scale * rate
            for old, new in zip(target.size, (best.width, best.height), strict=True)
        )
        place = crop.to_frame(best.x, best.y)
        moved = target.move_to(place, (width, height), self.config.smallest)
        return replace(moved, lost=target.lost and best.score <= long_term.above)
