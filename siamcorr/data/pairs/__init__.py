"""Training pairs: two views of one target, from videos, photographs and pictures."""
