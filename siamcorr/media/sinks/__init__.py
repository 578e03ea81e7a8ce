"""Sinks: videos out."""
