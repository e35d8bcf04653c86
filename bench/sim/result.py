"""What came of some worlds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Result:
    """Counts, and what was wrong."""

    worlds: int = 0
    operations: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    voids: int = 0
    virtual_seconds: float = 0.0
    violations: list[tuple[int, str]] = field(default_factory=list)
    """Seed, and what was wrong."""

    def add(self, other: Result) -> None:
        """Adds what came of others."""
        self.worlds += other.worlds
        self.operations += other.operations
        self.outcomes.update(other.outcomes)
        self.faults.update(other.faults)
        self.voids += other.voids
        self.virtual_seconds += other.virtual_seconds
        self.violations += other.violations
