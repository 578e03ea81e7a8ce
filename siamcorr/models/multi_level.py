"""Base class of backbones that return the outputs of several stages: ResNet-50, MobileNetV2."""

from collections.abc import Sequence

from torch import Tensor, nn


class Staged(nn.Module):
    """A backbone with stages under the keys layer1, layer2, …; it returns some of their outputs.

    Args:
        levels: stages to return, counted from 1.
        stages: number of stages.

    Raises:
        ValueError: no levels, or a level that is not a stage.
    """

    def __init__(self, levels: Sequence[int], stages: int) -> None:
        super().__init__()
        if not levels or not all(1 <= level <= stages for level in levels):
            raise ValueError(f"levels must be in 1..{stages}, got {tuple(levels)}")
        self.levels = tuple(levels)

    def through_stages(self, features: Tensor) -> tuple[Tensor, ...]:
        """Run the stem's output through all stages that the levels need."""
        maps = {}
        for level in range(1, max(self.levels) + 1):
            features = self.get_submodule(f"layer{level}")(features)
            maps[level] = features
        return tuple(maps[level] for level in self.levels)
