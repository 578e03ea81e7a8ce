"""A tour of the correlations: which shapes go in, what comes out, and what it is good for.

python demo/xcorr_tour.py [--channels 256] [--batch 8]

Ends with a picture, output/xcorr_tour.png: a template, the frame it was cut from, and the
response map, whose peak is where the template lies.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive, xcorr_pixelwise
from siamcorr.data import ClipConfig, render_clip
from siamcorr.media import draw_result, heat_map

OUTPUT = Path(__file__).resolve().parent.parent / "output"


def show(text: str, op: Callable[[Tensor, Tensor], Tensor], search: Tensor, z: Tensor) -> None:
    """Run a step, and print its shapes and time."""
    start = time.perf_counter()
    response = op(search, z)
    seconds = time.perf_counter() - start
    print(f"\n{text}\n  {op.__name__}(search {tuple(search.shape)}, template {tuple(z.shape)})")
    print(f"  -> {tuple(response.shape)}  in {seconds:.2f} s", flush=True)


def walk(channels: int, batch: int) -> None:
    """The walk-through: one pair, a batch of pairs, and channel by channel."""
    search = torch.rand(batch, channels, 255, 255)
    template = torch.rand(batch, channels, 127, 127)
    first = search[:1], template[:1]
    show("1. Slide one template over one search, sum the channels (SiamFC).", xcorr_naive, *first)
    show("2. A batch: each search with its own template.", xcorr_batched, search, template)
    show("3. Keep the channels apart (SiamRPN++).", xcorr_depthwise, *first)
    show("4. The same for a batch.", xcorr_depthwise, search, template)
    small = torch.rand(batch, channels, 16, 16), torch.rand(1, channels, 8, 8)
    show("5. Every template cell by itself (NanoTrack).", xcorr_pixelwise, *small)


def find_in_frame() -> None:
    """Cut a template out of a frame, and find it again by correlation alone."""
    frame, (x, y, w, h) = next(render_clip(ClipConfig(seed=3)))
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].float()  # (1, 3, H, W)
    left, top, right, bottom = round(x), round(y), round(x + w), round(y + h)
    template = pixels[:, :, top:bottom, left:right]
    # Without its mean a template answers to pattern, not to brightness.
    template = template - template.mean(dim=(2, 3), keepdim=True)
    response = xcorr_naive(pixels, template, padding="same")[0, 0].numpy()
    peak_y, peak_x = np.unravel_index(int(response.argmax()), response.shape)
    # With padding "same" the peak is at the template's middle, the smaller half before it.
    corner = int(peak_x) - (right - left - 1) // 2, int(peak_y) - (bottom - top - 1) // 2
    print(f"\nThe template was cut at {left}, {top}; the response finds it at {corner}.")
    found = (float(corner[0]), float(corner[1]), float(right - left), float(bottom - top))
    cut = np.zeros_like(frame[:, : right - left + 40])  # the template on a black strip
    cut[20 : 20 + bottom - top, 20 : 20 + right - left] = frame[top:bottom, left:right]
    marked = draw_result(frame, found, 1.0, "found")
    picture = np.hstack([cut, marked, heat_map(response, (frame.shape[1], frame.shape[0]))])
    OUTPUT.mkdir(exist_ok=True)
    cv2.imwrite(str(OUTPUT / "xcorr_tour.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    print(f"  See {OUTPUT / 'xcorr_tour.png'}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    walk(args.channels, args.batch)
    find_in_frame()


if __name__ == "__main__":
    main()
