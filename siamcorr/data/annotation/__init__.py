"""Annotation: a person marks keyframes, the boxes between them are computed."""
