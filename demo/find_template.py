"""Find a piece of a picture again, by correlation alone: no network, no training.

python demo/find_template.py [SEED]

Writes output/find_template.png: the frame, the place where the piece was found, and the response
map, whose peak is there.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from siamcorr import xcorr_naive
from siamcorr.data import ClipConfig, render_clip
from siamcorr.media import draw_result, heat_map, write_image

OUTPUT = Path(__file__).resolve().parent.parent / "output"


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    frame, (left, top, width, height) = next(render_clip(ClipConfig(seed=seed)))
    x0, y0, w, h = round(left), round(top), round(width), round(height)
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].float()  # (1, 3, H, W)
    piece = pixels[:, :, y0 : y0 + h, x0 : x0 + w]
    piece = piece - piece.mean(dim=(2, 3), keepdim=True)  # answers to pattern, not to brightness
    response = xcorr_naive(pixels, piece, padding="same")[0, 0].numpy()
    row, column = np.unravel_index(int(response.argmax()), response.shape)
    # With padding "same" the peak is at the template's middle, the smaller half before it.
    found = int(column) - (w - 1) // 2, int(row) - (h - 1) // 2
    print(f"\nThe template was cut at {x0}, {y0}; the response finds it at {found}.")
    marked = draw_result(frame, (*found, w, h), 1.0, "found")
    picture = np.hstack([frame, marked, heat_map(response, frame.shape[1::-1])])
    OUTPUT.mkdir(exist_ok=True)
    write_image(OUTPUT / "find_template.png", picture)
    print(f"  See {OUTPUT / 'find_template.png'}")


if __name__ == "__main__":
    main()
