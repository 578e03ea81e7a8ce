"""Track what you point at with the webcam: draw a box, press Enter; q or Esc ends.

python demo/webcam.py [CAMERA]        CAMERA counts from 0
"""

import sys

from siamcorr import Tracker, build_model
from siamcorr.media import SourceError, Window, display_available, draw_result, open_source
from siamcorr.models import for_inference


def main() -> None:
    if not display_available():
        sys.exit("no display: this demo needs a window (siamcorr track CAMERA --box … does not)")
    try:
        source = open_source(sys.argv[1] if len(sys.argv) > 1 else "0")
    except SourceError as error:
        sys.exit(str(error))
    network = for_inference(build_model("siamcorr-lite", pretrained=True))
    tracker, window, started = Tracker(network), Window(), False
    for frame in source:
        if not started:
            box = window.select_box(frame.image)
            if box is None:
                break
            tracker.init(frame.image, box)
            started = True
            continue
        result = tracker.update(frame.image)
        drawn = draw_result(frame.image, result.box_xywh, result.score, f"{result.score:.2f}")
        if not window.show(drawn):
            break
    source.close()
    window.close()


if __name__ == "__main__":
    main()
