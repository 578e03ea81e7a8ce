"""How a network's maps become the next box: the numbers that were published with it."""

from dataclasses import dataclass, field

KINDS = ("points", "anchors", "scales", "filter")


@dataclass(frozen=True)
class AnchorConfig:
    """The boxes of known shape that an anchor head corrects.

    size: side of the smallest square anchor, in pixels of the search crop.
    scale: multiplies it.
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
    """The pyramid of crops of a recipe that knows no boxes.

    count: crops a frame, odd; the middle one has the last scale.
    step: ratio of neighbouring scales, > 1.
    penalty: multiplies the response of all but the middle one, 0..1.
    upsample: response cells become so many, by cubic interpolation.
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
    """What to do while the target is lost.

    search_size: of the larger crop, in pixels; 0 never enlarges it.
    below: a score under it is a loss.
    above: a score over it ends the loss.
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
    """How predictions become the next box.

    kind: "points" (anchor-free), "anchors", "scales" (SiamFC's pyramid), "filter" (a correlation
        filter that is renewed every frame).
    stride: pixels of the search crop from one response cell to the next.
    penalty: strength of the penalty for a change of size or shape, >= 0.
    window: weight of the cosine window that prefers the centre, 0..1.
    learning_rate: share of the new size in the smoothed one at a perfect score, 0..1.
    update_rate: share of the new template in the averaged one, 0..1.
    lost_below: a score under it says that the target is lost, 0..1.
    found_above: a score from it on says that a lost target may be there again, lost_below..1; 0
        stands for halfway from lost_below to 1.
    smallest: pixels of the frame that a side has at least; 10 is pysot's.
    """

    kind: str
    stride: int
    window: float
    learning_rate: float
    penalty: float = 0.0
    update_rate: float = 0.0
    lost_below: float = 0.0
    found_above: float = 0.0
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
        if not all(0 <= share <= 1 for share in (*shares, self.lost_below)):
            raise ValueError(
                "window, learning_rate, update_rate, found_above and lost_below must be in 0..1"
            )
        if not 1 <= self.smallest <= 1000:
            raise ValueError(f"smallest must be in 1..1000, got {self.smallest:g}")
        if 0 < self.found_above < self.lost_below:
            raise ValueError(
                f"found_above must be 0 or at least lost_below, "
                f"got {self.found_above:g} and {self.lost_below:g}"
            )
