"""DCFNet: two convolutions, and a correlation filter that is solved in closed form."""

import torch
from torch import Tensor, nn

from siamcorr.layers import Prediction
from siamcorr.ops import xcorr_circular


class DCFNetFeatures(nn.Module):
    """Two 3x3 convolutions at full resolution: 41 KB.

    Shapes: (B, 3, 125, 125) -> (B, 32, 125, 125).

    Keys: feature.{0, 2}.{weight, bias}.

    Reference:
        Wang et al., DCFNet, 2017, arXiv:1704.04057. The layout is that of DCFNet_pytorch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.feature = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.LocalResponseNorm(size=5, alpha=0.0001, beta=0.75, k=1),
        )
        self.channels = 32

    def forward(self, image: Tensor) -> Tensor:
        """Features of images (B, 3, H, W)."""
        out: Tensor = self.feature(image)
        return out


class CorrelationFilterHead(nn.Module):
    """Correlation filter whose response to the template is a Gaussian, solved in closed form.

    alpha = Y / (K(z, z) + regularization), response = F^-1(alpha K(x, z)), all in the Fourier
    domain, K the circular correlation divided by the number of values. The response is circular:
    no shift is at [0, 0].

    Args:
        regularization: prevents that the division amplifies noise.
        sigma: of the Gaussian, as a share of the target's side.
        padding: the crop's side is 1 + padding times the target's.

    Shapes: features (B, C, H, W) and a template of the same size -> logits (B, 1, H, W), boxes
        (B, 0, H, W). No parameters.

    Reference:
        Wang et al., DCFNet, 2017, arXiv:1704.04057.
    """

    def __init__(
        self, regularization: float = 1e-4, sigma: float = 0.1, padding: float = 2.0
    ) -> None:
        super().__init__()
        self.regularization = regularization
        self.sigma = sigma / (1 + padding)

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Windowed features, and the filter's spectrum (B, 1, H, W // 2 + 1), complex.

        Both may be averaged over frames, as the tracker does.
        """
        z = features * _window(features)
        if not len(z):  # FFTs of empty batches fail
            rows, columns = z.shape[2:]
            empty = z.new_empty(0, 1, rows, columns // 2 + 1)
            return z, torch.complex(empty, empty)
        energy = torch.fft.rfft2(xcorr_circular(z, z, scale=_share(z))).real
        label = torch.fft.rfft2(_gaussian(features, self.sigma))
        return z, label / (energy + self.regularization)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Compute the response to search features (B, C, H, W)."""
        z, alpha = template
        x = features * _window(features)
        if not len(x):
            return Prediction(x[:, :1], x[:, :0])
        correlation = torch.fft.rfft2(xcorr_circular(x, z, scale=_share(z)))
        response = torch.fft.irfft2(correlation * alpha, s=features.shape[2:])
        return Prediction(response, response[:, :0])


def _share(features: Tensor) -> float:
    """One divided by the number of values of one sample."""
    return 1.0 / (features.shape[1] * features.shape[2] * features.shape[3])


def _window(features: Tensor) -> Tensor:
    """(H, W) Hann window, 0 at the border, because circular neighbours are not real neighbours."""
    rows, columns = (
        torch.hann_window(size, periodic=False, dtype=features.dtype, device=features.device)
        for size in features.shape[2:]
    )
    return torch.outer(rows, columns)


def _gaussian(features: Tensor, share: float) -> Tensor:
    """(H, W) circular Gaussian around [0, 0]; its standard deviation is a share of each side."""
    lines = []
    for size in features.shape[2:]:
        steps = torch.arange(size, dtype=features.dtype, device=features.device)
        distance = torch.minimum(steps, size - steps)
        lines.append(torch.exp(-0.5 * (distance / (share * size)) ** 2))
    return torch.outer(lines[0], lines[1])
