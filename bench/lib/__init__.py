"""What the benchmarks share: no question is answered here."""
