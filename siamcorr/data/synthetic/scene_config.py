"""How hard scenes are."""

from dataclasses import dataclass

WIDTH, HEIGHT = 480, 360  # of a scene, in pixels


@dataclass(frozen=True)
class SceneConfig:
    """What may happen in a scene, and how often; "chance" and "share" are of scenes and actors.

    distractors: others at most, half of them the target's own kind.
    occlusion: chance of something that passes before the target.
    turn: degrees either way. zoom: factor either way. stretch: of the aspect, either way.
    tilt: of the perspective, as a share of the side.
    bend: how far parts of a picture sway against each other, as a share of its side.
    speed: of the target; at 2 it moves some five sides of its own a second, ten at the most
        hurried. Clips run at 30 frames a second.
    photo_targets: share of targets that are blobs out of a photograph instead of cut-outs.
    printed: share of targets, before that, of one colour with a picture on a part of them.
    held: chance that a hand holds the target, its fingers before it.
    walls: chance of a plain wall for a ground instead of a photograph.
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
        chances = (self.occlusion, self.photo_targets, self.printed, self.held, self.walls)
        if not all(0 <= chance <= 1 for chance in chances):
            raise ValueError("occlusion, photo_targets, printed, held and walls must be in 0..1")
        if not 0 <= self.distractors <= 100 or not 0 <= self.turn <= 360:
            raise ValueError("distractors must be in 0..100 and turn in 0..360")
        if not (1 <= self.zoom <= 10 and 1 <= self.stretch <= 10 and 0 <= self.speed <= 100):
            raise ValueError("zoom and stretch must be in 1..10 and speed in 0..100")
        if not (0 <= self.tilt < 0.5 and 0 <= self.bend < 0.5):
            raise ValueError("tilt and bend must be in 0..0.5")
