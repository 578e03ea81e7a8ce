"""Synthetic clips and scenes: rendered, so their boxes are known exactly."""
