"""The parts of ``bench.contention``: writers and readers as processes, faults, counts, and the judge of the log."""
