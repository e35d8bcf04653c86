"""How long storage and cache were at work in a request."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.bootstrap import Services
from shared.cache.pages import CachedLogReader
from shared.storage.log_reader import DirectLogReader

STORAGE, CACHE = "storage", "cache"
NANOSECONDS: Final = 1_000
"""Of a microsecond."""


@dataclass(frozen=True, slots=True)
class Work:
    """Microseconds of a request: what is side by side counts once, and the storage's within the cache's is its own."""

    storage: float
    cache: float
    calls: int
    """Of the storage."""


class Spans:
    """Times the methods of parts of the services."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int, str]] = []

    def over(self, services: Services) -> Services:
        """The same services, timed."""
        store: Any = _Part(services.store, STORAGE, self)
        reader: Any = CachedLogReader(
            DirectLogReader(store), services.memory, services.pages, services.metrics
        )
        memory, stale_fallback = (
            _Part(part, CACHE, self) for part in (services.memory, services.stale_fallback)
        )
        timed: Any = {"memory": memory, "stale_fallback": stale_fallback}
        reader = _Part(reader, CACHE, self)
        return replace(services, store=store, reader=reader, **timed)

    def take(self) -> Work:
        """What was done since the last time."""
        spans, self.spans = self.spans, []
        stored = [(started, ended) for started, ended, kind in spans if kind == STORAGE]
        storage = _covered(stored)
        everything = _covered((started, ended) for started, ended, _ in spans)
        return Work(storage / NANOSECONDS, (everything - storage) / NANOSECONDS, len(stored))


class _Part:
    """Stands in for a part, and notes the time of each call."""

    def __init__(self, part: object, kind: str, spans: Spans) -> None:
        self._part, self._kind, self._spans = part, kind, spans

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the part's own
        found = getattr(self._part, name)
        if not callable(found):
            return found

        def timed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the call takes and returns
            started = time.perf_counter_ns()
            try:
                return found(*arguments, **named)
            finally:
                self._spans.spans.append((started, time.perf_counter_ns(), self._kind))

        return timed


def _covered(spans: Iterable[tuple[int, int]]) -> int:
    """Nanoseconds that at least one of the spans was under way."""
    total, until = 0, 0
    for started, ended in sorted(spans):
        total += max(0, ended - max(started, until))
        until = max(until, ended)
    return total
