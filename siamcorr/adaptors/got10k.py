"""Our trackers for the experiments of the got10k toolkit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from siamcorr.models import Network
from siamcorr.tracking import Tracker


def got10k_tracker(model: Network, name: str | None = None) -> Any:
    """Make a tracker for got10k.experiments: `ExperimentOTB(root).run(got10k_tracker(model))`.

    Args:
        model: a network, as for `Tracker`.
        name: name in the toolkit's tables; default: the preset's name.

    Returns:
        An instance of a subclass of got10k.trackers.Tracker.

    Raises:
        ModuleNotFoundError: got10k is not installed.
    """
    from got10k.trackers import Tracker as Base

    class Adaptor(Base):  # type: ignore[misc]
        """init and update as the toolkit calls them: PIL images in, boxes out."""

        def __init__(self) -> None:
            super().__init__(name=name or model.preset.name, is_deterministic=True)
            self.tracker = Tracker(model)

        def init(self, image: Any, box: Sequence[float]) -> None:
            self.tracker.init(_pixels(image), [float(value) for value in box])

        def update(self, image: Any) -> Any:
            return np.array(self.tracker.update(_pixels(image)).box_xywh)

    return Adaptor()


def _pixels(image: Any) -> Any:
    """Convert a PIL image of any mode to (H, W, 3) RGB."""
    return np.asarray(image.convert("RGB"))
