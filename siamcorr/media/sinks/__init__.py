"""Sinks: write videos."""
