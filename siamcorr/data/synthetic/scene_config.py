"""Settings of rendered scenes."""

from dataclasses import dataclass

WIDTH, HEIGHT = 480, 360  # of a scene, in pixels


@dataclass(frozen=True)
class SceneConfig:
    """Difficulty of scenes; a "probability" is per scene, a "share" is of actors.

    Args:
        distractors: largest number of other actors; about half of them look like the target.
        occlusion: probability that an actor passes in front of the target.
        turn: largest rotation in degrees.
        zoom: largest scale factor.
        stretch: largest change of the aspect ratio, a factor. All three in both directions.
        tilt: largest perspective shift of a corner, as a share of the side.
        bend: largest distortion of a picture, as a share of its side.
        speed: of the target; at 2, it moves about five times its side per second, at most ten
            times. Clips have 30 frames per second.
        photo_targets: share of targets that are blobs from a photograph instead of cut-outs.
        printed: share of targets of one colour with a printed picture; applied before
            photo_targets.
        held: probability that a hand holds the target, with fingers in front of it.
        walls: probability that the background is a plain wall instead of a photograph.
    """

    distractors: int = 4
    occlusion: float = 0.2
    turn: float = 25.0
    zoom: float = 1.5
    stretch: float = 1.2
    tilt: float = 0.15
    bend: float = 0.06
    speed: float = 2.0
    photo_targets: float = 0.4
    printed: float = 0.0
    held: float = 0.0
    walls: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.occlusion, self.photo_targets, self.printed, self.held, self.walls)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("occlusion, photo_targets, printed, held and walls must be in 0..1")
        if not 0 <= self.distractors <= 100 or not 0 <= self.turn <= 360:
            raise ValueError("distractors must be in 0..100 and turn in 0..360")
        if not (1 <= self.zoom <= 10 and 1 <= self.stretch <= 10 and 0 <= self.speed <= 100):
            raise ValueError("zoom and stretch must be in 1..10 and speed in 0..100")
        if not (0 <= self.tilt < 0.5 and 0 <= self.bend < 0.5):
            raise ValueError("tilt and bend must be in 0..0.5")
