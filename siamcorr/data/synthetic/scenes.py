"""Scenes: a moving cut-out over a photograph, with distractors and occlusion.

The random generator determines a scene; a time determines a frame of it. Two times make a training
pair, a series of times a clip. The target's box is exact.
"""

import math
from collections.abc import Iterator

import numpy as np

from siamcorr.data.synthetic.actors import Actor
from siamcorr.data.synthetic.clips import Box, Image
from siamcorr.data.synthetic.effects import degrade
from siamcorr.data.synthetic.hands import Hand
from siamcorr.data.synthetic.library import Library
from siamcorr.data.synthetic.pictures import actor_picture, background_picture
from siamcorr.data.synthetic.scene_config import SceneConfig


class Scene:
    """One target with a background, distractors, an occluder and a hand.

    Args:
        library: source of the pictures.
        rng: used in the constructor only.
        config: see `SceneConfig`.
    """

    def __init__(
        self, library: Library, rng: np.random.Generator, config: SceneConfig | None = None
    ) -> None:
        config = config or SceneConfig()
        self.background = background_picture(library, rng, config)
        target = actor_picture(library, rng, config)
        side = math.exp(rng.uniform(math.log(40), math.log(150)))
        self.target = Actor(target, side, rng, config)
        self.distractors = []
        for _ in range(rng.integers(config.distractors + 1)):
            same = rng.random() < 0.5
            picture = target if same else actor_picture(library, rng, config)
            self.distractors.append(Actor(picture, side * rng.uniform(0.6, 1.4), rng, config))
        self.occluder = None
        if rng.random() < config.occlusion:
            picture = actor_picture(library, rng, config)
            self.occluder = Actor(picture, side * rng.uniform(0.4, 0.9), rng, config)
        self.seed = int(rng.integers(2**31))
        # No random draw if held is 0, so that older training runs keep their pairs.
        self.hand = Hand(rng) if config.held > 0 and rng.random() < config.held else None

    def frame(self, time: float) -> tuple[Image, Box]:
        """The scene at a time in seconds, with camera effects, and the target's box_xywh.

        The image is (360, 480, 3) RGB. The box is the full one also if the target is occluded or
        partly outside the frame.
        """
        image, box = self.clean_frame(time)
        rng = np.random.default_rng([self.seed, round(time * 1000)])
        return degrade(image, rng, self.seed), box

    def clean_frame(self, time: float) -> tuple[Image, Box]:
        """As `frame`, without camera effects: it is cheaper to crop first and degrade the crop."""
        image = self.background.astype(np.float32)
        for distractor in self.distractors:
            distractor.paste(image, time)
        corners = self.target.corners(time)
        if self.hand is not None:
            self.hand.paste_arm(image, corners)
        box = self.target.paste(image, time)
        if self.hand is not None:
            self.hand.paste_fingers(image, corners)
        if self.occluder is not None:
            self.occluder.paste(image, time)
        return np.clip(image, 0, 255).astype(np.uint8), box

    def clip(self, frames: int) -> Iterator[tuple[Image, Box]]:
        """Consecutive frames, 30 per second."""
        return (self.frame(index / 30) for index in range(frames))
