"""Benchmarks: each row measured side by side in one run, so that what counts is the ratio."""
