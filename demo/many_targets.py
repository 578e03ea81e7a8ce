"""Track many targets with one forward per frame, and measure the time per target.

python demo/many_targets.py [--targets 8]

The targets are rendered patches that move. Writes many.mp4 and many.txt (MOT) to output/.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from siamcorr import MultiTracker, build_model
from siamcorr.data.synthetic.clips import texture
from siamcorr.media import VideoSink, draw_result, open_table
from siamcorr.models import for_inference

OUTPUT = Path(__file__).resolve().parent.parent / "output"
WIDTH, HEIGHT, SIDE = 640, 480, 56


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--targets", type=int, default=8)
    count = max(1, parser.parse_args().targets)
    OUTPUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    background = texture(rng, WIDTH, HEIGHT, detail=5)
    patches = [texture(rng, SIDE, SIDE, detail=3) for _ in range(count)]
    places = rng.uniform(0, (WIDTH - SIDE, HEIGHT - SIDE), size=(count, 2))
    steps = rng.uniform(-3, 3, size=(count, 2))

    tracker = MultiTracker(for_inference(build_model("siamcorr-lite", pretrained=True)))
    seconds = []
    table = open_table(OUTPUT / "many.txt", (WIDTH, HEIGHT))
    with VideoSink(OUTPUT / "many.mp4", fps=30) as video, table:
        for index in range(60):
            image = background.copy()
            for patch, (x, y) in zip(patches, places.round().astype(int), strict=True):
                image[y : y + SIDE, x : x + SIDE] = patch
            frame = image.astype(np.uint8)
            if index == 0:
                for x, y in places:
                    tracker.add(frame, (x, y, SIDE, SIDE))
            start = time.perf_counter()
            results = tracker.update(frame)
            seconds.append(time.perf_counter() - start)
            for number, result in results.items():
                frame = draw_result(frame, result.box_xywh, result.score, f"{number}", result.lost)
                table.write(index, index / 30, result.box_xywh, result.score, number, result.lost)
            video.write(frame)
            places = np.clip(places + steps, 0, (WIDTH - SIDE, HEIGHT - SIDE))
    each = np.median(seconds) * 1000 / count
    print(f"{count} targets, {each:.1f} ms per target and frame: {OUTPUT / 'many.mp4'}, many.txt")


if __name__ == "__main__":
    main()
