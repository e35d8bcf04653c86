"""An operator's tools, run with their own credentials: exports, erasure, capacity planner. See docs/operations.md."""
