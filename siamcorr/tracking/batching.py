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
        self.layout = torch.contiguous_format  # of images, as graphs of other runtimes read them
        if isinstance(model, nn.Module):
            model.eval()
            self.layout = torch.channels_last
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
        return crops_to_tensor(crops, self.recipe.crop.color, self.model.device, self.layout)


def crops_to_tensor(
    crops: list[Crop],
    color: str,
    device: torch.device,
    layout: torch.memory_format = torch.channels_last,
) -> Tensor:
    """Convert crops to (N, 3, S, S) float, 0..255, with one copy to the device.

    Args:
        crops: N RGB crops of one size.
        color: "rgb" or "bgr", the channel order of the network.
        device: the network's device.
        layout: memory format of the result.
    """
    size = len(crops[0].image)
    stacked = torch.empty(len(crops), 3, size, size, dtype=torch.uint8, memory_format=layout)
    for image, crop in zip(stacked.numpy(), crops, strict=True):
        if layout == torch.contiguous_format:  # numpy and torch copy to planes much more slowly
            planes = cv2.split(crop.image)
            np.stack(planes[::-1] if color == "bgr" else planes, out=image)
        elif color == "bgr":
            cv2.cvtColor(crop.image, cv2.COLOR_RGB2BGR, dst=image.transpose(1, 2, 0))
        else:
            image.transpose(1, 2, 0)[:] = crop.image
    return stacked.to(device).float()


def to_numpy(logits: Tensor, boxes: Tensor) -> tuple[Map, Map]:
    """Convert both maps of a prediction to float32 arrays, with one copy from the device."""
    together = torch.cat([logits, boxes], dim=1).float().cpu().numpy()
    return together[:, : logits.shape[1]], together[:, logits.shape[1] :]
