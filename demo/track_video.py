"""Track a target through a video, in the few lines that it takes.

    python demo/track_video.py                            a clip made on the spot
    python demo/track_video.py VIDEO --box X,Y,W,H        your own video

Writes tracked.mp4, tracked.csv and heatmap.png to output/; `siamcorr track` does it and more.
"""

import argparse
from contextlib import closing
from pathlib import Path

from siamcorr import Tracker, build_model
from siamcorr.data import render_clip
from siamcorr.media import CsvSink, VideoSink, draw_result, heat_map, open_source, write_image
from siamcorr.models import for_inference
from siamcorr.tracking import box_iou

OUTPUT = Path(__file__).resolve().parent.parent / "output"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("video", nargs="?", help="default: a rendered clip")
    parser.add_argument("--box", help="X,Y,W,H of the target in the first frame, in pixels")
    args = parser.parse_args()
    OUTPUT.mkdir(exist_ok=True)
    truth = []
    if args.video and not args.box:
        parser.error("a video needs --box X,Y,W,H")
    if not args.video:
        with VideoSink(OUTPUT / "clip.mp4", fps=30) as clip:
            for image, true_box in render_clip():
                clip.write(image)
                truth.append(true_box)
    box = tuple(float(value) for value in args.box.split(",")) if args.box else truth[0]
    tracker = Tracker(for_inference(build_model("siamcorr-lite", pretrained=True)))
    with (
        closing(open_source(args.video or OUTPUT / "clip.mp4")) as source,
        VideoSink(OUTPUT / "tracked.mp4", source.fps) as video,
        CsvSink(OUTPUT / "tracked.csv") as table,
    ):
        overlaps = []
        for frame in source:
            if frame.index == 0:
                tracker.init(frame.image, box)  # the one time that it is told where the target is
            result = tracker.update(frame.image, response=True)
            video.write(draw_result(frame.image, result.box_xywh, result.score))
            table.write(frame.index, frame.time, result.box_xywh, result.score)
            overlaps += [box_iou(result.box_xywh, true) for true in truth[frame.index :][:1]]
    # How much each place around the target looks like it:
    write_image(OUTPUT / "heatmap.png", heat_map(result.response, frame.image.shape[1::-1]))
    print(f"tracked {frame.index + 1} frames: {OUTPUT / 'tracked.mp4'} and tracked.csv beside it")
    if truth:
        print(f"mean overlap (IoU) with the true boxes: {sum(overlaps) / len(overlaps):.2f}")


if __name__ == "__main__":
    main()
