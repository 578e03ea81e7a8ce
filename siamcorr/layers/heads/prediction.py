"""The result type of every head."""

from typing import NamedTuple

from torch import Tensor


class Prediction(NamedTuple):
    """A network's maps for a search image: scores and boxes at every response cell.

    Attributes:
        logits: (B, 2, S, S), background and target before softmax; with k anchors (B, 2*k, S, S),
            channel class * k + anchor; (B, 1, S, S) before sigmoid from SiamFC and Ocean.
        boxes: anchor-free (B, 4, S, S): distances from the cell's point to the box's left, top,
            right and bottom sides in pixels of the search crop, > 0. With k anchors (B, 4*k, S, S):
            dx, dy, dw, dh relative to the anchor, channel coordinate * k + anchor. (B, 0, S, S)
            from SiamFC, which predicts no boxes.
    """

    logits: Tensor
    boxes: Tensor
