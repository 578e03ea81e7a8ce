"""Videos of many kinds, written by PyAV: codecs, layouts of pixels, times, rotation."""

import os
from contextlib import contextmanager
from fractions import Fraction

import pytest

from siamcorr.data import ClipConfig, render_clip

av = pytest.importorskip("av")

COUNT = 60
CLIP = [image for image, _ in render_clip(ClipConfig(COUNT, 160, 120, target=40))]
EVEN = [40 * number for number in range(COUNT)]  # ms
CHANGING = [sum((20, 40, 80)[step % 3] for step in range(number)) for number in range(COUNT)]

# What is written: file, encoder, layout of pixels, times, options of the encoder.
FILES = {
    "av1": ("clip.mp4", "libsvtav1", "yuv420p", EVEN, {"preset": "12"}),
    "av1 10-bit, changing": ("clip.mkv", "libsvtav1", "yuv420p10le", CHANGING, {"preset": "12"}),
    "hevc 10-bit": ("clip.mp4", "libx265", "yuv420p10le", EVEN, {"g": "20"}),
    "vp9, changing": ("clip.webm", "libvpx-vp9", "yuv420p", CHANGING, {"g": "20"}),
    "h264, changing": ("clip.mp4", "libx264", "yuv420p", CHANGING, {"g": "20", "bf": "0"}),
    "open groups": (
        "clip.mp4",
        "libx264",
        "yuv420p",
        EVEN,
        {"g": "20", "x264-params": "open-gop=1"},
    ),
    "refreshed": (
        "clip.mp4",
        "libx264",
        "yuv420p",
        EVEN,
        {"x264-params": "intra-refresh=1:keyint=20"},
    ),
    "interlaced": ("clip.mp4", "libx264", "yuv420p", EVEN, {"g": "20", "flags": "+ildct+ilme"}),
    "b frames in avi": (
        "clip.avi",
        "mpeg4",
        "yuv420p",
        EVEN,
        {"g": "15", "bf": "2", "qscale": "3"},
    ),
    "mjpeg": ("clip.avi", "mjpeg", "yuvj420p", EVEN, {}),
    "alpha": ("clip.mov", "qtrle", "argb", EVEN, {}),
    "transport stream": ("clip.ts", "libx264", "yuv420p", EVEN, {"g": "20"}),
    "bare h264": ("clip.h264", "libx264", "yuv420p", EVEN, {"g": "20"}),
}


@contextmanager
def same_priority():
    """SVT-AV1 gives the calling thread real-time priority where it may, and never takes it back."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


@same_priority()
def write(path, encoder, layout="yuv420p", times=EVEN, options=None, turned=0):
    if encoder not in av.codecs_available:
        pytest.skip(f"this PyAV does not write {encoder}")
    with av.open(str(path), "w") as file:
        stream = file.add_stream(encoder, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 160, 120, layout
        if turned and not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV does not write a rotation")
        if turned:
            stream.set_display_rotation(turned)
        packets = []
        for number, image in enumerate(CLIP):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += stream.encode(frame)
        for packet in packets + stream.encode(None):
            if times is not EVEN:  # no frame leans on a later one: what comes first is shown first
                packet.pts = packet.dts = times[packet.pts]
                packet.time_base = Fraction(1, 1000)
            file.mux(packet)
    return path
