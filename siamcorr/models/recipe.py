"""Settings for decoding a network's maps to the next box, as published with the network."""

from dataclasses import dataclass, field

KINDS = ("points", "anchors", "scales", "filter")


@dataclass(frozen=True)
class AnchorConfig:
    """The anchor boxes of an anchor-based head.

    size: side of the square anchor before scaling, in pixels of the search crop.
    scale: multiplies the anchors' sides.
    ratios: height / width of each anchor, in the order of the head's channels.
    """

    size: int = 8
    scale: float = 8.0
    ratios: tuple[float, ...] = (0.33, 0.5, 1.0, 2.0, 3.0)

    def __post_init__(self) -> None:
        if self.size < 1 or self.scale <= 0 or not self.ratios or min(self.ratios) <= 0:
            raise ValueError("size, scale and ratios must be positive")
        if max(self.size, self.scale, *self.ratios) > 1e4 or len(self.ratios) > 100:
            raise ValueError("size, scale and ratios must be at most 10000, and 100 ratios")


@dataclass(frozen=True)
class ScaleConfig:
    """The scale pyramid of a recipe without box regression.

    count: crops per frame, odd; the middle one has the last scale.
    step: ratio of neighbouring scales, > 1.
    penalty: multiplies the response of all but the middle crop, 0..1.
    upsample: factor by which the response is upsampled, by cubic interpolation.
    """

    count: int = 3
    step: float = 1.0375
    penalty: float = 0.9745
    upsample: int = 16

    def __post_init__(self) -> None:
        if self.count < 1 or self.count % 2 == 0 or self.upsample < 1:
            raise ValueError("count must be odd, upsample at least 1")
        if self.step <= 1 or not 0 < self.penalty <= 1:
            raise ValueError("step must be > 1, penalty in 0..1")
        if self.count > 99 or self.upsample > 64 or self.step > 10:
            raise ValueError("count must be at most 99, upsample 64, step 10")


@dataclass(frozen=True)
class LongTermConfig:
    """The larger search crop for a lost target.

    search_size: side of the larger crop, in pixels; 0 never enlarges the crop.
    below: a score below it means that the target is lost.
    above: a score above it means that the target was found again.
    """

    search_size: int = 0
    below: float = 0.8
    above: float = 0.998

    def __post_init__(self) -> None:
        if self.search_size < 0 or not 0 <= self.below <= self.above <= 1:
            raise ValueError("search_size must be >= 0, and 0 <= below <= above <= 1")
        if self.search_size > 4096:
            raise ValueError(f"search_size must be <= 4096, got {self.search_size}")


@dataclass(frozen=True)
class RecipeConfig:
    """How to decode predictions to the next box.

    kind: "points" (anchor-free), "anchors", "scales" (SiamFC's pyramid), "filter" (a correlation
        filter that is updated every frame).
    stride: pixels of the search crop from one response cell to the next.
    penalty: strength of the penalty for a change of size or shape, >= 0.
    window: weight of the cosine window that prefers the centre, 0..1.
    relative_window: whether the window is multiplied by the best score of the frame. Otherwise it
        decides alone where all scores are low, as on a blurred target. Not in pysot.
    learning_rate: share of the new size in the smoothed one at a perfect score, 0..1.
    update_rate: share of the new template in the averaged one, 0..1.
    lost_below: a score below it means that the target is lost, 0..1.
    found_above: score from which a candidate may be the lost target, lost_below..1; 0 means
        halfway from lost_below to 1.
    hold_below: with a lower score the box keeps place and size, 0..1; 0 means lost_below.
    smallest: minimum side of the box, in frame pixels; pysot uses 10.
    """

    kind: str
    stride: int
    window: float
    learning_rate: float
    penalty: float = 0.0
    relative_window: bool = False
    update_rate: float = 0.0
    lost_below: float = 0.0
    found_above: float = 0.0
    hold_below: float = 0.0
    smallest: float = 10.0
    anchors: AnchorConfig = field(default_factory=AnchorConfig)
    scales: ScaleConfig = field(default_factory=ScaleConfig)
    long_term: LongTermConfig = field(default_factory=LongTermConfig)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.stride < 1 or self.penalty < 0:
            raise ValueError("stride must be >= 1 and penalty >= 0")
        if self.stride > 1024 or self.penalty > 1000:
            raise ValueError("stride must be <= 1024 and penalty <= 1000")
        shares = (self.window, self.learning_rate, self.update_rate, self.found_above)
        if not all(0 <= share <= 1 for share in (*shares, self.lost_below, self.hold_below)):
            raise ValueError(
                "window, learning_rate, update_rate, found_above, lost_below and hold_below "
                "must be in 0..1"
            )
        if not 1 <= self.smallest <= 1000:
            raise ValueError(f"smallest must be in 1..1000, got {self.smallest:g}")
        if 0 < self.found_above < self.lost_below:
            raise ValueError(
                f"found_above must be 0 or at least lost_below, "
                f"got {self.found_above:g} and {self.lost_below:g}"
            )
