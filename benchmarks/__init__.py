"""Measurements. Each script prints a table and writes JSON to `benchmarks/results/`."""
