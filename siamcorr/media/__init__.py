"""Media: frames in, videos and tables out, windows where there is a display."""

from siamcorr.media.anywhere import StoredFrames
from siamcorr.media.coco import CocoSink
from siamcorr.media.display import display_available
from siamcorr.media.frames import Frame, SourceError
from siamcorr.media.images import read_image, write_image
from siamcorr.media.overlay import draw_result, heat_map
from siamcorr.media.reconnecting import Patience
from siamcorr.media.rows import TableSink
from siamcorr.media.sinks import VideoSink
from siamcorr.media.sources import Source, open_source
from siamcorr.media.tables import CsvSink, JsonLinesSink, MotSink, open_table
from siamcorr.media.window import Input, Window

__all__ = [
    "CocoSink",
    "CsvSink",
    "Frame",
    "Input",
    "JsonLinesSink",
    "MotSink",
    "Patience",
    "Source",
    "SourceError",
    "StoredFrames",
    "TableSink",
    "VideoSink",
    "Window",
    "display_available",
    "draw_result",
    "heat_map",
    "open_source",
    "open_table",
    "read_image",
    "write_image",
]
