"""Benchmarks: what the program costs beside the barest one that registers the same resources."""
