"""What every head returns."""

from typing import NamedTuple

from torch import Tensor


class Prediction(NamedTuple):
    """What a network says about a search image, at every cell of the response map.

    logits: how much like the target. (B, 2, S, S), background and target before softmax; with k
        anchors (B, 2*k, S, S), channel class * k + anchor; (B, 1, S, S) before sigmoid from
        SiamFC and Ocean.
    boxes: where it ends. Anchor-free (B, 4, S, S): distances from the cell's point to the box's
        left, top, right and bottom sides in pixels of the search crop, > 0. With k anchors
        (B, 4*k, S, S): dx, dy, dw, dh relative to the anchor, channel coordinate * k + anchor.
        (B, 0, S, S) from SiamFC, which knows no boxes.
    """

    logits: Tensor
    boxes: Tensor
