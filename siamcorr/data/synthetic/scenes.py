"""Scenes: a cut-out before a photograph, with others of its kind, moving, turning and in the way.

A scene is fixed by its random numbers; a frame of it by a time. Two times make a training pair, a
run of them a clip, and the target's box is known by construction.
"""

import math
from collections.abc import Iterator

import numpy as np

from siamcorr.data.synthetic.actors import Actor
from siamcorr.data.synthetic.clips import Box, Image
from siamcorr.data.synthetic.effects import degrade
from siamcorr.data.synthetic.hands import Hand
from siamcorr.data.synthetic.library import Library
from siamcorr.data.synthetic.pictures import actor_picture, ground_picture
from siamcorr.data.synthetic.scene_config import SceneConfig


class Scene:
    """One target and what is around it.

    Args:
        library: where the pictures come from.
        rng: every choice is made here, once.
        config: see `SceneConfig`.
    """

    def __init__(
        self, library: Library, rng: np.random.Generator, config: SceneConfig | None = None
    ) -> None:
        config = config or SceneConfig()
        self.ground = ground_picture(library, rng, config)
        target = actor_picture(library, rng, config)
        side = math.exp(rng.uniform(math.log(40), math.log(150)))
        self.target = Actor(target, side, rng, config)
        self.others = []
        for _ in range(rng.integers(config.distractors + 1)):
            same = rng.random() < 0.5
            picture = target if same else actor_picture(library, rng, config)
            self.others.append(Actor(picture, side * rng.uniform(0.6, 1.4), rng, config))
        self.before = None
        if rng.random() < config.occlusion:
            picture = actor_picture(library, rng, config)
            self.before = Actor(picture, side * rng.uniform(0.4, 0.9), rng, config)
        self.seed = int(rng.integers(2**31))
        # No draw where nothing is held: runs from before there were hands keep their pairs.
        self.hand = Hand(rng) if config.held > 0 and rng.random() < config.held else None

    def frame(self, time: float) -> tuple[Image, Box]:
        """The scene at a time, in seconds, as a camera takes it, and the target's box_xywh.

        The image is (360, 480, 3) RGB. The box is whole even where the target is covered or
        leaves the frame.
        """
        image, box = self.clean_frame(time)
        rng = np.random.default_rng([self.seed, round(time * 1000)])
        return degrade(image, rng, self.seed), box

    def clean_frame(self, time: float) -> tuple[Image, Box]:
        """As `frame`, before the camera: to be cut first and degraded then, which costs less."""
        image = self.ground.astype(np.float32)
        for other in self.others:
            other.paste(image, time)
        corners = self.target.corners(time)
        if self.hand is not None:
            self.hand.paste_arm(image, corners)
        box = self.target.paste(image, time)
        if self.hand is not None:
            self.hand.paste_fingers(image, corners)
        if self.before is not None:
            self.before.paste(image, time)
        return np.clip(image, 0, 255).astype(np.uint8), box

    def clip(self, frames: int) -> Iterator[tuple[Image, Box]]:
        """Frames one after the other, 30 a second."""
        return (self.frame(index / 30) for index in range(frames))
