"""Training pairs: two frames that show one target, from videos, photographs and any picture."""
