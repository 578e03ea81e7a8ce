"""Track a target through a video, in the few lines that it takes.

    python demo/track_video.py                            a clip made on the spot
    python demo/track_video.py VIDEO --box X,Y,W,H        your own video

Writes tracked.mp4, tracked.csv and heatmap.png to output/. The same on the command line, with more
options: siamcorr track VIDEO --box X,Y,W,H --output tracked.mp4 --boxes tracked.csv
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from siamcorr import Tracker, build_model
from siamcorr.data import render_clip
from siamcorr.media import CsvSink, VideoSink, draw_result, heat_map, open_source
from siamcorr.models import for_inference
from siamcorr.tracking import box_iou

OUTPUT = Path(__file__).resolve().parent.parent / "output"


def make_clip(path: Path) -> list[tuple[float, float, float, float]]:
    """Write the generated clip to a video and return the true box of each frame."""
    boxes = []
    with VideoSink(path, fps=30) as video:
        for image, box in render_clip():
            video.write(image)
            boxes.append(box)
    return boxes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("video", nargs="?", help="default: a generated clip")
    parser.add_argument("--box", help="X,Y,W,H of the target in the first frame, in pixels")
    args = parser.parse_args()
    if args.video and not args.box:
        parser.error("a video needs --box X,Y,W,H")
    OUTPUT.mkdir(exist_ok=True)

    path, truth = args.video, []
    if path is None:
        path = OUTPUT / "clip.mp4"
        truth = make_clip(path)
        print(f"rendered {len(truth)} frames to {path}")
    box = tuple(float(value) for value in args.box.split(",")) if args.box else truth[0]

    network = build_model("siamcorr-lite", pretrained=True)  # its weights are shipped
    tracker = Tracker(for_inference(network))

    source = open_source(path)
    overlaps, response = [], np.zeros((1, 1))
    with (
        VideoSink(OUTPUT / "tracked.mp4", source.fps) as video,
        CsvSink(OUTPUT / "tracked.csv") as table,
    ):
        for frame in source:
            score = 1.0
            if frame.index == 0:
                tracker.init(frame.image, box)  # the one time that it is told where the target is
            else:
                result = tracker.update(frame.image, response=True)
                box, score, response = result.box_xywh, result.score, result.response
            video.write(draw_result(frame.image, box, score, f"{score:.2f}"))
            table.write(frame.index, frame.time, box, score)
            if truth:
                overlaps.append(box_iou(box, truth[frame.index]))
    source.close()
    size = frame.image.shape[1], frame.image.shape[0]
    picture = heat_map(response, size)  # how much each place around the target looks like it
    cv2.imwrite(str(OUTPUT / "heatmap.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    print(f"tracked {frame.index + 1} frames: {OUTPUT / 'tracked.mp4'} and tracked.csv beside it")
    if overlaps:
        print(f"mean overlap (IoU) with the true boxes: {sum(overlaps) / len(overlaps):.2f}")


if __name__ == "__main__":
    main()
