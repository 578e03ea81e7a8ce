"""`siamcorr annotate VIDEO`: mark a target in a video; the result is a sequence for `eval`."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from siamcorr.adaptors.backends import load_network
from siamcorr.cli.validation import check_counts
from siamcorr.data.annotation.export_sequence import description, frames_stored, store_frames
from siamcorr.data.annotation.follow_between import Filling
from siamcorr.data.annotation.keyframes import ABSENT, Mark, clipped, proposed, shown_frames
from siamcorr.data.annotation.session import Annotation
from siamcorr.media import (
    Source,
    SourceError,
    Window,
    display_available,
    draw_result,
    open_source,
    read_image,
)
from siamcorr.models import Network
from siamcorr.tracking.boxes import Image
from siamcorr.viewer.canvas import lay_lines, wrapped
from siamcorr.viewer.view import WAIT, Screen
from siamcorr.viewer.zoom import to_frame, zoom_of, zoomed

KEYS = ["mouse: draw the box", "enter: take it", "a: absent", "b: back", "q: leave, go on later"]
LINE = 20  # height of a line of text, in pixels


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("annotate", help="mark a target in a video, for eval")
    add = parser.add_argument
    add("video", metavar="VIDEO", help="video file or image folder")
    add("--output", default="output/annotated", metavar="DIR", help="parent of the new sequence")
    add("--every", type=int, default=10, metavar="N", help="show every N-th frame (default: 10)")
    add("--start", type=int, default=0, metavar="N", help="first frame, counted from 0")
    add("--frames", type=int, metavar="N", help="number of frames (default: all)")
    follow = "track between the marks, and ask about frames where the tracker is not sure"
    add("--follow", metavar="MODEL", help=f"{follow} (default: interpolate)")
    add("--weights", metavar="FILE", help="weights of that model (default: the published ones)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Store the frames, ask for marks, and write the ground truth when no mark is missing."""
    check_counts(args, "every", "frames")
    if args.weights and not args.follow:
        raise ValueError("--weights needs --follow MODEL")
    path = Path(args.video)
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    name = path.absolute().name if path.is_dir() else path.stem
    if name.startswith("."):
        raise ValueError(f"{path}: names the sequence, and that name cannot begin with a dot")
    if not display_available():
        raise ValueError("annotate: there is no display to draw boxes on")
    network = args.follow and _network(args.follow, args.weights)
    folder = Path(args.output) / name
    _store(path, args.start, args.frames, folder)
    annotation = Annotation(folder)
    filling = Filling(network, annotation.frames) if network else None
    with closing(Window()) as window:
        annotate(annotation, window, args.every)
        if filling and annotation.complete:
            ask_where_unsure(annotation, window, filling)
    if not annotation.complete:
        text = "run the command again to continue"
        print(f"{len(annotation.marks)} frames marked, saved in {annotation.path}; {text}")
        return 0
    boxes = annotation.finish(filling.boxes(annotation.marks) if filling else None)
    count = int(np.isfinite(boxes[:, 0]).sum())
    print(f"{len(boxes)} frames, {count} with a box, written to {folder}")
    print(f"siamcorr eval TRACKER --data {args.output}")
    return 0


def annotate(annotation: Annotation, window: Screen, every: int) -> None:
    """Show frames, starting at the first one without a mark, until the last one or until q.

    Args:
        annotation: stores the marks.
        window: shows the frames.
        every: show every N-th frame.
    """
    frames = shown_frames(len(annotation.frames), every)
    unmarked = (index for index, frame in enumerate(frames) if frame not in annotation.marks)
    position = next(unmarked, len(frames) - 1)
    while position < len(frames):
        step = _ask(annotation, window, frames[position])
        if step == 0:
            return
        position = max(0, position + step)


def ask_where_unsure(annotation: Annotation, window: Screen, filling: Filling) -> None:
    """Show the frame with the least sure track, until the tracker is sure of all or q is pressed.

    Args:
        annotation: stores the marks.
        window: shows the frames.
        filling: tracks between the marks.
    """
    while unsure := filling.unsure(annotation.marks):
        frame, guess = unsure
        if _ask(annotation, window, frame, guess) != 1:
            return


def _ask(annotation: Annotation, window: Screen, frame: int, guess: Mark | None = None) -> int:
    """Ask for the mark of a frame. Return 1 for the next frame, -1 for the previous, 0 to leave."""
    image = read_image(annotation.frames[frame])
    size, zoom = image.shape[:2], zoom_of(image)
    mark = guess or proposed(annotation.marks, frame)
    picture = _picture(image, mark, _status(annotation, frame, mark))
    while True:
        done = to_frame(window.show(picture, WAIT), zoom)
        if done.closed or done.key in ("q", "escape"):
            return 0
        if done.key == "b":
            return -1
        box = None if done.drawn is None else clipped(done.drawn, size)
        if box is not None:
            mark = Mark(box)
            picture = _picture(image, mark, _status(annotation, frame, mark))
        if done.key == "a" and frame > 0:  # a tracker needs a box in the first frame
            annotation.mark(frame, ABSENT)
            return 1
        if done.key in ("enter", " ") and mark is not None:
            annotation.mark(frame, mark)
            return 1


def _picture(image: Image, mark: Mark | None, status: str) -> Image:
    """Return the zoomed frame with its box, and the status and the keys below."""
    zoom = zoom_of(image)
    canvas = zoomed(image)
    if mark is not None and mark.box_xywh is not None:
        x, y, w, h = (value * zoom for value in mark.box_xywh)
        canvas = draw_result(canvas, (x, y, w, h), 1.0)
    lines = [status, *wrapped(KEYS, canvas.shape[1])]
    canvas = np.pad(canvas, ((0, LINE * len(lines) + 6), (0, 0), (0, 0)))
    lay_lines(canvas, "", lines)
    return canvas


def _status(annotation: Annotation, frame: int, mark: Mark | None) -> str:
    if mark is None:
        state = "draw a box around the target; it must be visible here"
    elif annotation.marks.get(frame) == mark:
        state = "marked"
    else:
        state = "not marked yet"
    if mark == ABSENT:
        state += ", absent"
    return f"frame {frame} of 0 to {len(annotation.frames) - 1}: {state}"


def _network(name: str, weights: str | None) -> Network:
    """Load a tracker's network on the CPU."""
    return load_network(name, weights, torch.device("cpu"), "torch")


def _store(path: Path, start: int, limit: int | None, folder: Path) -> None:
    """Write the frames as images, unless an earlier session did."""
    about = description(path, start, limit)
    if frames_stored(folder, about):
        return
    with closing(open_source(path, start)) as source:
        total = min(filter(None, (source.frame_count, limit)), default=None)
        store_frames(_images(source, limit, total), folder, about)
    count = len(Annotation(folder).frames)
    if total is not None and count < total:
        text = f"{path}: ended after {count} of {total} announced frames"
        print(f"siamcorr: {text}", file=sys.stderr)


def _images(source: Source, limit: int | None, total: int | None) -> Iterator[Image]:
    """Yield the first frames of a source, with a progress bar."""
    with tqdm(islice(source, limit), total=total, unit=" frames stored") as bar:
        for frame in bar:
            yield frame.image
