"""Dataset of crops for learning features: random squares of any picture, without labels."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from siamcorr.data.pairs.picture_stock import Stock
from siamcorr.data.synthetic.effects import degrade
from siamcorr.models import Preset
from siamcorr.tracking.crops import crop_box, mean_color
from siamcorr.training.config import DataConfig

SMALLEST, LARGEST = 60, 320  # side of a crop in its picture, in pixels


class CropDataset(Dataset[Tensor]):
    """Random squares of pictures and video frames, at the size of a template.

    A crop depends only on the seed and its number, like a pair.

    Args:
        preset: gives the size of the crops and the colour order.
        config: `pictures` are the sources, see `Stock`.
        count: crops per epoch.
        seed: seed of all crops.

    Raises:
        OSError, ValueError: see `Stock`.
    """

    def __init__(self, preset: Preset, config: DataConfig, count: int, seed: int) -> None:
        self.preset, self.config, self.count, self.seed = preset, config, count, seed
        self.stock = Stock(config.pictures)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        """Return the crop with this number: (3, 127, 127) uint8 in the network's colour order."""
        rng = np.random.default_rng([self.seed, index])
        picture = self.stock.any(rng)
        height, width = picture.shape[:2]
        side = math.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST)))
        side = min(side, 1.5 * min(height, width))
        center = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        size = self.preset.crop.template_size
        crop = crop_box(picture, center, (side, side), size, mean_color(picture)).image
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if rng.random() < 0.5:
            crop = degrade(crop, rng, int(rng.integers(2**31)))
        if rng.random() < self.config.gray:
            crop = np.repeat(crop.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
        if self.preset.crop.color == "bgr":
            crop = crop[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))
