"""Show a video in one picture: some of its frames side by side.

python demo/contact_sheet.py VIDEO PICTURE.jpg [--frames 5] [--height 200]
"""

import argparse
import sys
from contextlib import closing

import cv2
import numpy as np

from siamcorr.media import open_source, write_image


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("video")
    parser.add_argument("picture", metavar="PICTURE.jpg")
    parser.add_argument("--frames", type=int, default=5, help="number of frames")
    parser.add_argument("--height", type=int, default=200, help="of a frame, in pixels")
    args = parser.parse_args()
    if args.frames < 1 or args.height < 1:
        parser.error("--frames and --height must be >= 1")
    tiles = []
    try:
        with closing(open_source(args.video)) as source:
            for frame in source:
                scale = args.height / frame.image.shape[0]
                tiles.append(cv2.resize(frame.image, None, fx=scale, fy=scale))
        if not tiles:
            raise ValueError(f"{args.video}: holds no readable frame")
        chosen = np.linspace(0, len(tiles) - 1, args.frames).round().astype(int)
        write_image(args.picture, np.hstack([tiles[index] for index in chosen]))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f"{args.frames} of {len(tiles)} frames: {args.picture}")


if __name__ == "__main__":
    main()
