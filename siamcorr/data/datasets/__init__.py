"""Datasets: sequences with ground truth, in the layouts of public benchmarks."""
