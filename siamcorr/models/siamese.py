"""The Siamese network: one backbone for both sides, and a head that compares them."""

from typing import Protocol, cast

from torch import Tensor, nn

from siamcorr.layers import Prediction
from siamcorr.models.presets import Preset

Template = tuple[Tensor, ...]


class Head(Protocol):
    """What a network asks of its head."""

    def template(self, features: Tensor) -> Template:
        """Template features to all that the search side needs of the target."""

    def __call__(self, features: Tensor, template: Template) -> Prediction:
        """Compare search features with a template."""


class SiameseNetwork(nn.Module):
    """Backbone and head; it holds no target, so one network serves many at once.

    Images are float, 0..255, in the colour order that the preset names.

    Args:
        preset: what the network was made from; trackers read their recipe there.
        backbone: (B, 3, H, W) -> (B, C, H / stride, W / stride).
        head: see `Head`.
        head_key: the head's name in state_dict; published checkpoints know it.

    Example:
        >>> import torch
        >>> from siamcorr.models import build_model
        >>> network = build_model("nanotrack-v2")
        >>> template = network.template(torch.rand(1, 3, 127, 127))
        >>> network.search(torch.rand(5, 3, 255, 255), template).logits.shape
        torch.Size([5, 2, 16, 16])
    """

    def __init__(
        self, preset: Preset, backbone: nn.Module, head: nn.Module, head_key: str = "head"
    ) -> None:
        super().__init__()
        self.preset = preset
        self.backbone = backbone
        self.add_module(head_key, head)
        self.head_key = head_key

    @property
    def head(self) -> Head:
        """The head, by whatever key the checkpoint calls it."""
        return cast("Head", self.get_submodule(self.head_key))

    def template(self, image: Tensor) -> Template:
        """All that `search` needs of template images (B, 3, h, w); rows can be kept apart.

        A batch of templates is a tuple of tensors whose first dimension is the batch, so targets
        are stacked by torch.cat and dropped by indexing.
        """
        return self.head.template(self.backbone(image))

    def search(self, image: Tensor, template: Template) -> Prediction:
        """Look for a template (batch B or 1) in search images (B, 3, H, W)."""
        return self.head(self.backbone(image), template)

    def forward(self, search: Tensor, template: Tensor) -> Prediction:
        """Both sides at once, as in training: images (B, 3, H, W) and (B or 1, 3, h, w)."""
        return self.search(search, self.template(template))
