"""Channel attention: weight each channel by a gate that is computed from the channels' means."""

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation: the gate is a small two-layer network on the channels' means.

    Args:
        channels: C.
        hidden: neurons of the first layer.

    Shapes: (B, C, H, W) -> (B, C, H, W).

    Keys: fc.0.{weight, bias}, fc.2.{weight, bias}.

    Reference:
        Hu et al., Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507; the gate is
        MobileNetV3's, arXiv:1905.02244.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels),
            nn.Hardsigmoid(inplace=True),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Gate features (B, C, H, W)."""
        gate: Tensor = self.fc(features.mean(dim=(2, 3)))  # (B, C)
        return features * gate[:, :, None, None]


class ChannelAttention(nn.Module):
    """Weight each channel by a gate in 0..1, computed from the means of the channels.

    Shapes: (B, C, H, W) -> (B, C, H, W).

    Keys: fc1.{weight, bias}, fc2.{weight, bias}, both (C, C, 1, 1).

    Reference:
        Hu et al., Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507 (without squeeze).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels, 1)
        self.fc2 = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Gate features (B, C, H, W)."""
        mean = features.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        gate: Tensor = self.fc2(self.fc1(mean).relu()).sigmoid()
        return features * gate
