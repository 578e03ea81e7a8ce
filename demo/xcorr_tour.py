"""A tour of the correlations: their input and output shapes, and what each is for.

python demo/xcorr_tour.py [--channels 256] [--batch 8]
"""

import argparse
import time

import torch

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive, xcorr_pixelwise


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    x = torch.rand(args.batch, args.channels, 255, 255)  # search
    z = torch.rand(args.batch, args.channels, 127, 127)  # template
    small = torch.rand(args.batch, args.channels, 16, 16), torch.rand(1, args.channels, 8, 8)
    for text, op, search, template in (
        (
            "1. Slide one template over one search, sum channels (SiamFC).",
            xcorr_naive,
            x[:1],
            z[:1],
        ),
        ("2. A batch: each search with its own template.", xcorr_batched, x, z),
        ("3. Keep the channels apart (SiamRPN++).", xcorr_depthwise, x[:1], z[:1]),
        ("4. The same for a batch.", xcorr_depthwise, x, z),
        ("5. Every template cell by itself (NanoTrack).", xcorr_pixelwise, *small),
    ):
        start = time.perf_counter()
        response = op(search, template)
        seconds = time.perf_counter() - start
        shapes = f"search {tuple(search.shape)}, template {tuple(template.shape)}"
        print(f"\n{text}\n  {op.__name__}({shapes})")
        print(f"  -> {tuple(response.shape)}  in {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
