"""Show what the network sees: template, search region, response map over it, and the found box.

python demo/response_map.py VIDEO --box X,Y,W,H [--frame 60] [--output output/response.jpg]
"""

import argparse
import sys
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from siamcorr import Tracker, build_model
from siamcorr.media import draw_result, heat_map, open_source, write_image
from siamcorr.tracking.crops import crop_box, mean_color

HEIGHT = 255  # pixels of the picture


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("video")
    parser.add_argument("--box", required=True, help="X,Y,W,H of the target in the first frame")
    parser.add_argument("--frame", type=int, default=60, help="the frame to show, counted from 0")
    parser.add_argument("--output", default=Path("output/response.jpg"), type=Path)
    args = parser.parse_args()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    tracker = Tracker(build_model("siamcorr-lite", pretrained=True))
    try:
        with closing(open_source(args.video)) as source:
            for frame in source:
                if frame.index == 0:
                    box = [float(value) for value in args.box.split(",")]
                    tracker.init(frame.image, box)
                    template = crop(frame.image, box)
                result = tracker.update(frame.image, response=True)
                if frame.index == args.frame:
                    break
        search = crop(frame.image, result.region)
        response = heat_map(result.response, (HEIGHT, HEIGHT)) // 2
        blended = search // 2 + response
        tracked = draw_result(frame.image, result.box_xywh, result.score)
        tracked = cv2.resize(tracked, (HEIGHT * tracked.shape[1] // tracked.shape[0], HEIGHT))
        write_image(args.output, np.hstack([template, search, blended, tracked]))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f"frame {frame.index}, score {result.score:.2f}: {args.output}")


def crop(image: np.ndarray, box_xywh: tuple[float, ...]) -> np.ndarray:
    """The square around a box, resized to HEIGHT x HEIGHT pixels."""
    x, y, w, h = box_xywh
    side = max(w, h)
    return crop_box(image, (x + w / 2, y + h / 2), (side, side), HEIGHT, mean_color(image)).image


if __name__ == "__main__":
    main()
