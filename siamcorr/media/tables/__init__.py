"""Tables of boxes: one row per target and frame, in common formats."""
