"""The Siamese network: one backbone and neck for both branches, and a head that compares them."""

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from siamcorr.layers import Prediction
from siamcorr.models.presets import Preset

Template = tuple[Tensor, ...]


class Head(Protocol):
    """Interface of a head; features are a tensor, or a sequence with one tensor per level."""

    def template(self, features: Any) -> Template:
        """Compute from template features what the search branch needs."""

    def __call__(self, features: Any, template: Template) -> Prediction:
        """Compare search features with a template."""


class Network(Protocol):
    """Interface of a network that a tracker can use, independent of its runtime."""

    preset: Preset

    @property
    def device(self) -> torch.device:
        """The device that input images must be on."""

    def template(self, image: Tensor) -> Template:
        """Compute from template images (B, 3, h, w) what `search` needs."""

    def search(self, image: Tensor, template: Template) -> Prediction:
        """Search for a template in search images (B, 3, H, W)."""


class SiameseNetwork(nn.Module):
    """Backbone, neck and head. It holds no target, so one network can track many at once.

    Images are float, 0..255, in the colour order that the preset names.

    Args:
        preset: the preset of the network; trackers read their recipe from it.
        backbone: (B, 3, H, W) -> (B, C, H / stride, W / stride), or a tuple of levels.
        head: see `Head`.
        neck: (features, crop) -> features, see `siamcorr.layers.AdjustAllLayer`.

    Keys: backbone, neck, and the preset's head_key, as in published checkpoints.

    Example:
        >>> import torch
        >>> from siamcorr.models import build_model
        >>> network = build_model("nanotrack-v2")
        >>> template = network.template(torch.rand(1, 3, 127, 127))
        >>> network.search(torch.rand(5, 3, 255, 255), template).logits.shape
        torch.Size([5, 2, 16, 16])
    """

    mean: Tensor

    def __init__(
        self, preset: Preset, backbone: nn.Module, head: nn.Module, neck: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.preset = preset
        self.backbone = backbone
        self.neck = neck
        # Not by add_module: the key may be "head", which is also the property below.
        self._modules[preset.network.head_key] = head
        mean = torch.tensor(preset.crop.mean or (0.0, 0.0, 0.0))[:, None, None]
        self.register_buffer("mean", mean, persistent=False)

    @property
    def head(self) -> Head:
        """The head, whatever its key in the checkpoint is."""
        return cast("Head", self._modules[self.preset.network.head_key])

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign a new head under the key of the old one."""
        super().__setattr__(self.preset.network.head_key if name == "head" else name, value)

    @property
    def device(self) -> torch.device:
        """The device of the weights; input images must be on it."""
        return self.mean.device

    def normalize(self, image: Tensor) -> Tensor:
        """Subtract the preset's mean colour from images (B, 3, H, W)."""
        return image - self.mean if self.preset.crop.mean else image

    def features(self, image: Tensor, crop: int | None = None) -> Any:
        """Run backbone and neck on images (B, 3, H, W).

        Args:
            image: float, 0..255.
            crop: cells per side that the neck keeps in the middle, for the template branch.
        """
        features = self.backbone(self.normalize(image))
        return features if self.neck is None else self.neck(features, crop)

    def template(self, image: Tensor) -> Template:
        """Compute from template images (B, 3, h, w) what `search` needs.

        The result is a tuple of tensors whose first dimension is the batch: stack targets by
        torch.cat, and remove targets by indexing.
        """
        return self.head.template(self.features(image, self.preset.network.template_crop or None))

    def search(self, image: Tensor, template: Template) -> Prediction:
        """Search for a template (batch B or 1) in search images (B, 3, H, W)."""
        return self.head(self.features(image), template)

    def forward(self, search: Tensor, template: Tensor) -> Prediction:
        """Both branches at once, as in training: images (B, 3, H, W) and (B or 1, 3, h, w)."""
        return self.search(search, self.template(template))
