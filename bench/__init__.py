"""Benchmarks and simulations; never deployed."""
