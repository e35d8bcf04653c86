"""Counts what the cache has done since this container started."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Final

from shared.observability.meter import HITS, meter

KINDS: Final = ("pages", "channels")


class CacheMetrics:
    """Thread-safe counters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._reads = 0
        self._hits = 0

    def count(self, name: str, by: int = 1) -> None:
        """Adds to a counter."""
        with self._lock:
            self._counts[name] += by

    def read(self, kind: str, outcome: str) -> None:
        """Counts a read of ``pages`` or of a list of ``channels``, also in the request's meter."""
        with self._lock:
            self._counts[f"{kind}.{outcome}"] += 1
            self._reads += 1
            self._hits += outcome in HITS
            hit_rate = self._hits / self._reads
        current = meter()
        current.tier, current.hit_rate = outcome, round(hit_rate, 4)
        current.outcomes.append(outcome)

    def command(self, reason: str) -> None:
        """Counts a billed Redis command by its reason."""
        self.count(f"command.{reason}")

    def get(self, name: str) -> int:
        """One counter."""
        return self._counts[name]

    @property
    def commands(self) -> int:
        """All billed Redis commands."""
        return sum(self._group("command.").values())

    def hit_rate(self, *kinds: str) -> float | None:
        """The share of reads with an outcome in ``HITS``; None before the first read."""
        counts: Counter[str] = Counter()
        for kind in kinds or KINDS:
            counts.update(self._group(f"{kind}."))
        total = counts.total()
        return round(sum(counts[each] for each in HITS) / total, 4) if total else None

    def snapshot(self) -> dict[str, Any]:
        """All counts, for the health check and the log."""
        return {
            "hit_rate": self.hit_rate(),
            "pages": self._group("pages."),
            "channels": self._group("channels."),
            "redis_commands": self._group("command."),
            "redis_failures": self._group("failure."),
            "redis_ms": self.get("redis_ms"),
            "unreadable": self.get("unreadable"),
            "bytes_raw": self.get("bytes_raw"),
            "bytes_stored": self.get("bytes_stored"),
        }

    def _group(self, prefix: str) -> dict[str, int]:
        with self._lock:
            return {
                name.removeprefix(prefix): count
                for name, count in sorted(self._counts.items())
                if name.startswith(prefix)
            }
