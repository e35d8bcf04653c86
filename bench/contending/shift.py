"""What one process is asked to do for some seconds, and what it reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from bench.contending.faults import Rates

BUDGIE: Final = "budgie"
ENGINE: Final = "engine"
WRITE: Final = "write"
READ: Final = "read"


@dataclass(frozen=True, slots=True)
class Shift:
    """One writer's or reader's work. Times are ``time.monotonic()``, which all processes of a machine share."""

    side: str
    """``budgie``: the function's handler; ``engine``: the same calls and nothing else."""
    does: str
    channel: str
    user: str
    begins: float
    counts_from: float
    """Before this everything warms up and the writers fall out of step; only the log is judged."""
    ends: float
    rates: Rates
    seed: str

    def in_window(self, moment: float) -> bool:
        """Whether what ended at this moment counts."""
        return self.counts_from <= moment < self.ends


@dataclass(slots=True)
class Tally:
    """What came of a shift."""

    milliseconds: list[float] = field(default_factory=list)
    """Of each post that was acknowledged within the window, the client's retries included."""
    acknowledged: dict[int, str] = field(default_factory=dict)
    """All of them: text by position."""
    unknown: list[str] = field(default_factory=list)
    """Texts that the writer gave up on: they may stand or not."""
    refused: int = 0
    """Answers 503."""
    counts: Counter[str] = field(default_factory=Counter)
    holes: set[int] = field(default_factory=set)
    read: list[tuple[int, int, list[Any] | None]] = field(default_factory=list)
    """A reader's pages: first and last position, and the messages if it parsed them."""
    cpu_seconds: float = 0.0
