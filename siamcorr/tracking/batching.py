"""Run a network on crops: convert crops to tensors and maps to arrays."""

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from siamcorr.models import Network, Template, fast_copy
from siamcorr.tracking.boxes import Image
from siamcorr.tracking.crops import Color, Crop
from siamcorr.tracking.decoding import Map
from siamcorr.tracking.recipes import recipe_of
from siamcorr.tracking.target import Target

MAX_BATCH = 33  # crops in one forward on the CPU, a multiple of 3 for pyramids; more gain nothing


class NetworkRunner:
    """A network with its recipe, which cuts the crops and decodes the maps. It holds no target.

    Args:
        model: as for `siamcorr.Tracker`.
        optimize: run a fused copy of an ordinary network; otherwise run the network itself, in
            eval mode.
    """

    def __init__(self, model: Network, optimize: bool = True) -> None:
        if optimize:
            model = fast_copy(model)
        if isinstance(model, nn.Module):
            model.eval()
        self.model, self.recipe = model, recipe_of(model.preset)

    def template(self, frame: Image, target: Target, fill: Color) -> Template:
        """Compute the target's template from this frame."""
        crop = self.recipe.template_crop(frame, target, fill)
        return self.model.template(self.tensor([crop]))

    def predict(self, crops: list[Crop], template: Template) -> tuple[Map, Map]:
        """Compute logits and boxes of N crops, for a template with batch N or 1."""
        images = self.tensor(crops)
        max_batch = MAX_BATCH if images.device.type == "cpu" else len(images)
        parts = []
        for first in range(0, len(images), max_batch):
            rows = slice(first, first + max_batch)
            own = template if len(template[0]) == 1 else tuple(part[rows] for part in template)
            parts.append(self.model.search(images[rows], own))
        logits, boxes = (torch.cat([part[index] for part in parts]) for index in (0, 1))
        return to_numpy(logits, boxes)

    def tensor(self, crops: list[Crop]) -> Tensor:
        """Convert crops to the network's input, on its device."""
        return crops_to_tensor(crops, self.recipe.crop.color, self.model.device)


def crops_to_tensor(crops: list[Crop], color: str, device: torch.device) -> Tensor:
    """Convert crops to (N, 3, S, S) float, 0..255, channels last, with one copy to the device.

    Args:
        crops: N RGB crops of one size.
        color: "rgb" or "bgr", the channel order of the network.
        device: the network's device.
    """
    stacked = np.empty((len(crops), *crops[0].image.shape), np.uint8)  # (N, S, S, 3)
    for image, crop in zip(stacked, crops, strict=True):
        if color == "bgr":
            cv2.cvtColor(crop.image, cv2.COLOR_RGB2BGR, dst=image)
        else:
            image[:] = crop.image
    return torch.from_numpy(stacked).to(device).permute(0, 3, 1, 2).float()


def to_numpy(logits: Tensor, boxes: Tensor) -> tuple[Map, Map]:
    """Convert both maps of a prediction to float32 arrays, with one copy from the device."""
    together = torch.cat([logits, boxes], dim=1).float().cpu().numpy()
    return together[:, : logits.shape[1]], together[:, logits.shape[1] :]
