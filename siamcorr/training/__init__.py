"""Training: pairs, losses, and the loop."""
