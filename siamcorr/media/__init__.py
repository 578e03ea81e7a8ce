"""Media: frames in, videos and tables out, windows where there is a display."""

from siamcorr.media.display import Window, display_available
from siamcorr.media.overlay import draw_result, heat_map
from siamcorr.media.sinks import CsvSink, VideoSink
from siamcorr.media.sources import Frame, Source, SourceError, open_source, read_image

__all__ = [
    "CsvSink",
    "Frame",
    "Source",
    "SourceError",
    "VideoSink",
    "Window",
    "display_available",
    "draw_result",
    "heat_map",
    "open_source",
    "read_image",
]
