"""Outputs of `siamcorr track`: a live video keeps its pace."""

import numpy as np

from siamcorr import MultiTracker, build_model
from siamcorr.cli.outputs import Outputs
from siamcorr.media import Frame
from siamcorr.viewer import Session


def test_a_live_video_keeps_its_pace(tmp_path):
    """Frames that were left out are made up for, a long gap up to some seconds."""

    class Sink:
        fps, frames = 10.0, 0

        def write(self, image):
            self.frames += 1

    sink, counts = Sink(), []
    outputs = Outputs(video=sink, live=True)
    session = Session(MultiTracker(build_model("nanotrack-v2")))
    image = np.zeros((8, 8, 3), np.uint8)
    for index, moment in enumerate((3.0, 3.1, 3.5, 63.5, 63.6)):
        outputs.write(Frame(index, moment, image), session)
        counts.append(sink.frames)
    assert counts == [1, 2, 6, 56, 57]
