"""Find a template in a picture by correlation alone: no network, no training.

python demo/find_template.py [SEED]

Writes output/find_template.png: the frame, the box where the template was found, and the response
map with its peak there.
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
    template = pixels[:, :, y0 : y0 + h, x0 : x0 + w]
    template = template - template.mean(dim=(2, 3), keepdim=True)  # ignore brightness
    response = xcorr_naive(pixels, template, padding="same")[0, 0].numpy()
    row, column = np.unravel_index(int(response.argmax()), response.shape)
    # With padding "same", the peak is at the template's centre, rounded down.
    found = int(column) - (w - 1) // 2, int(row) - (h - 1) // 2
    print(f"\nThe template was cut at {x0}, {y0}; the response finds it at {found}.")
    marked = draw_result(frame, (*found, w, h), 1.0, "found")
    picture = np.hstack([frame, marked, heat_map(response, frame.shape[1::-1])])
    OUTPUT.mkdir(exist_ok=True)
    write_image(OUTPUT / "find_template.png", picture)
    print(f"  See {OUTPUT / 'find_template.png'}")


if __name__ == "__main__":
    main()
