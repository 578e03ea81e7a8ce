"""Annotation: a person marks the target in some frames, and a sequence comes out."""
