"""Track a target through a video in a few lines.

    python demo/track_video.py [VIDEO --box X,Y,W,H]        default: a rendered clip

Writes tracked.mp4, tracked.csv and heatmap.png to output/. `siamcorr track` has more options.
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
    output, truth, overlaps = OUTPUT / "tracked.mp4", [], []
    if args.video and not args.box:
        parser.error("a video needs --box X,Y,W,H")
    if args.video and Path(args.video).resolve() == output.resolve():
        parser.error(f"{args.video}: this demo would overwrite it, copy it first")
    OUTPUT.mkdir(exist_ok=True)
    if not args.video:
        with VideoSink(OUTPUT / "clip.mp4", fps=30) as clip:
            for image, true_box in render_clip():
                clip.write(image)
                truth.append(true_box)
    try:
        box = tuple(float(value) for value in args.box.split(",")) if args.box else truth[0]
        tracker = Tracker(for_inference(build_model("siamcorr-lite", pretrained=True)))
        source = open_source(args.video or OUTPUT / "clip.mp4")
        table = CsvSink(OUTPUT / "tracked.csv")
        with closing(source), table, VideoSink(output, source.fps) as video:
            for frame in source:
                if frame.index == 0:
                    tracker.init(frame.image, box)  # the only box that the tracker gets
                found = tracker.update(frame.image, response=True)
                video.write(draw_result(frame.image, found.box_xywh, found.score, "", found.lost))
                table.write(frame.index, frame.time, found.box_xywh, found.score, 0, found.lost)
                overlaps += [box_iou(found.box_xywh, true) for true in truth[frame.index :][:1]]
        write_image(OUTPUT / "heatmap.png", heat_map(found.response, frame.image.shape[1::-1]))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from None
    print(f"tracked {frame.index + 1} frames: {output} and tracked.csv beside it")
    if truth:
        print(f"mean overlap (IoU) with the true boxes: {sum(overlaps) / len(overlaps):.2f}")


if __name__ == "__main__":
    main()
