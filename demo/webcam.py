"""Track targets with the webcam: draw boxes with the mouse; the keys are on screen.

python demo/webcam.py [CAMERA]        an index from 0, a video file or a stream URL
"""

import sys
from contextlib import closing

from siamcorr import MultiTracker, build_model
from siamcorr.media import SourceError, Window, display_available, open_source
from siamcorr.models import for_inference
from siamcorr.viewer import Session, View


def main() -> None:
    if not display_available():
        sys.exit(
            "no display: this demo needs a window (siamcorr track CAMERA --box … works without)"
        )
    network = for_inference(build_model("siamcorr-lite", pretrained=True))
    session = Session(MultiTracker(network, recover=True))
    try:
        source = open_source(sys.argv[1] if len(sys.argv) > 1 else "0")
        with closing(source), closing(Window()) as window:
            view = View(window)
            for frame in source:
                session.step(frame, response=True)
                if not view.show(session, frame):
                    break
    except SourceError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
