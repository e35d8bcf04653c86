"""What an operator runs with their own credentials: exports, erasure, the capacity planner. See docs/operations.md."""
