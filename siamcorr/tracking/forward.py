"""Between frames and networks: crops to tensors, maps to arrays."""

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from siamcorr.models import Network, Template
from siamcorr.tracking.boxes import Box
from siamcorr.tracking.crops import Crop
from siamcorr.tracking.decoding import Map

AT_ONCE = 16  # crops in one forward on the CPU; the maps of more fall out of its caches


def as_eval(model: Network) -> Network:
    """The network, in eval mode if it knows modes."""
    if isinstance(model, nn.Module):
        model.eval()
    return model


def crops_to_tensor(crops: list[Crop], color: str, device: torch.device) -> Tensor:
    """What a network takes: (N, 3, S, S) float, 0..255, channels last, in one copy to the device.

    Args:
        crops: N of one size, RGB.
        color: "rgb" or "bgr", the order that the network wants.
        device: where it runs.
    """
    stacked = np.empty((len(crops), *crops[0].image.shape), np.uint8)  # (N, S, S, 3)
    for image, crop in zip(stacked, crops, strict=True):
        if color == "bgr":
            cv2.cvtColor(crop.image, cv2.COLOR_RGB2BGR, dst=image)
        else:
            image[:] = crop.image
    return torch.from_numpy(stacked).to(device).permute(0, 3, 1, 2).float()


def predict(model: Network, images: Tensor, template: Template) -> tuple[Map, Map]:
    """Logits and boxes of search images (N, 3, S, S), for a template whose batch is N or 1."""
    at_once = AT_ONCE if images.device.type == "cpu" else len(images)
    parts = []
    for first in range(0, len(images), at_once):
        rows = slice(first, first + at_once)
        own = template if len(template[0]) == 1 else tuple(part[rows] for part in template)
        parts.append(model.search(images[rows], own))
    logits, boxes = (torch.cat([part[index] for part in parts]) for index in (0, 1))
    return to_numpy(logits, boxes)


def to_numpy(logits: Tensor, boxes: Tensor) -> tuple[Map, Map]:
    """Both maps of a prediction as float32 arrays, in one copy from the device."""
    together = torch.cat([logits, boxes], dim=1).float().cpu().numpy()
    return together[:, : logits.shape[1]], together[:, logits.shape[1] :]


def region_of(crops: list[Crop], response: Map, stride: float) -> Box:
    """What a response covers in the frame: its cells lie around the middle of the crop."""
    return crops[len(crops) // 2].middle(len(response) * stride)


def blended(template: Template, fresh: Template, rate: float) -> Template:
    """A template that has taken over a share (rate, 0..1) of a fresh one."""
    return tuple(old + rate * (new - old) for old, new in zip(template, fresh, strict=True))
