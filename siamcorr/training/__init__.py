"""Training: data sets, losses, and the training loop."""
