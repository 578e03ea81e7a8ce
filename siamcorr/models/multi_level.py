"""Backbones in numbered stages, some of which are looked at: ResNet-50 and MobileNetV2."""

from collections.abc import Sequence

from torch import Tensor, nn


class Staged(nn.Module):
    """Stages under the keys layer1, layer2, …; the outputs of some of them are the levels.

    Args:
        levels: stages to return, from 1.
        stages: how many there are.

    Raises:
        ValueError: no levels, or one that is no stage.
    """

    def __init__(self, levels: Sequence[int], stages: int) -> None:
        super().__init__()
        if not levels or not all(1 <= level <= stages for level in levels):
            raise ValueError(f"levels must be in 1..{stages}, got {tuple(levels)}")
        self.levels = tuple(levels)

    def through_stages(self, features: Tensor) -> tuple[Tensor, ...]:
        """What the stem gave, through as many stages as the levels need."""
        maps = {}
        for level in range(1, max(self.levels) + 1):
            features = self.get_submodule(f"layer{level}")(features)
            maps[level] = features
        return tuple(maps[level] for level in self.levels)
