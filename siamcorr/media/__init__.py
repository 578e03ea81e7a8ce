"""Media: read frames, write videos and tables, show windows."""

from siamcorr.media.display import display_available
from siamcorr.media.display_window import Input, Window
from siamcorr.media.frames import Frame, SourceError
from siamcorr.media.images import read_image, write_image
from siamcorr.media.overlay import draw_result, heat_map
from siamcorr.media.sinks.video_sink import VideoSink
from siamcorr.media.sources.opening import Source, open_source
from siamcorr.media.sources.random_access import StoredFrames
from siamcorr.media.sources.reconnect import Patience
from siamcorr.media.tables.coco import CocoSink
from siamcorr.media.tables.formats import CsvSink, JsonLinesSink, MotSink, open_table
from siamcorr.media.tables.rows import TableSink

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
