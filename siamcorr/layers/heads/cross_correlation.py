"""SiamFC's head: the correlation itself."""

from torch import Tensor, nn

from siamcorr.layers.heads.prediction import Prediction
from siamcorr.ops import xcorr_batched


class CrossCorrelationHead(nn.Module):
    """Correlate the features of both branches, summed over channels; no parameters.

    Args:
        scale: scales sums over C*h*w products, about a thousand, to the range of logits.

    Shapes: (B, C, 22, 22) and (B or 1, C, 6, 6) -> logits (B, 1, 17, 17), boxes (B, 0, 17, 17).

    Reference:
        Bertinetto et al., Fully-Convolutional Siamese Networks, 2016, arXiv:1606.09549.

    Example:
        >>> import torch
        >>> head = CrossCorrelationHead()
        >>> head(torch.rand(3, 256, 22, 22), head.template(torch.rand(1, 256, 6, 6))).logits.shape
        torch.Size([3, 1, 17, 17])
    """

    def __init__(self, scale: float = 0.001) -> None:
        super().__init__()
        self.scale = scale

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features, unchanged."""
        return (features,)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Correlate search features with those of the template."""
        response = xcorr_batched(features, template[0], scale=self.scale)
        return Prediction(response, response[:, :0])

    def extra_repr(self) -> str:
        """The scale, as repr shows it."""
        return f"scale={self.scale}"
