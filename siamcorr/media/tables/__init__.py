"""Tables of boxes: a row a target and frame, in the formats that other programs read."""
