"""What an operator runs with their own credentials: exports and erasure. Never deployed; see docs/operations.md."""
