"""Synthetic clips and scenes, whose boxes are known because they are rendered."""
