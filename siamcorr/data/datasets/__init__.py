"""Datasets: sequences with ground truth, in the layouts that benchmarks publish."""
