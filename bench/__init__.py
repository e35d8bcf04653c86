"""Benchmarks: one file per question; never deployed."""
