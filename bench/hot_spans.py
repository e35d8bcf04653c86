"""How long storage and cache were at work in a request: for the profiles of ``bench.hot_path``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from shared.cache.encoded import CachedLogReader
from shared.log_reader import DirectLogReader
from shared.services import Services

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
        self._spans: list[tuple[int, int, str]] = []

    def over(self, services: Services) -> Services:
        """The same services, timed."""
        cache = services.cache
        store = self._part(services.store, STORAGE)
        reader = CachedLogReader(DirectLogReader(store), cache.memory, cache.pages, cache.metrics)
        timed = replace(
            cache, memory=self._part(cache.memory, CACHE), vouched=self._part(cache.vouched, CACHE)
        )
        return replace(services, store=store, reader=self._part(reader, CACHE), cache=timed)

    def take(self) -> Work:
        """What was done since the last time."""
        spans, self._spans = self._spans, []
        stored = [(started, ended) for started, ended, kind in spans if kind == STORAGE]
        storage = _covered(stored)
        everything = _covered((started, ended) for started, ended, _ in spans)
        return Work(storage / NANOSECONDS, (everything - storage) / NANOSECONDS, len(stored))

    def timed(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        """A call that notes its time."""

        def timed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the call takes and returns
            started = time.perf_counter_ns()
            try:
                return call(*arguments, **named)
            finally:
                self._spans.append((started, time.perf_counter_ns(), kind))

        return timed

    def _part(self, part: object, kind: str) -> Any:  # noqa: ANN401 - stands in for the part
        return _Part(part, kind, self)


class _Part:
    def __init__(self, part: object, kind: str, spans: Spans) -> None:
        self._part = part
        self._kind = kind
        self._spans = spans

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the part's own
        found = getattr(self._part, name)
        made = self._spans.timed(found, self._kind) if callable(found) else found
        return cast("Any", made)


def _covered(spans: Iterable[tuple[int, int]]) -> int:
    """Nanoseconds that at least one of the spans was under way."""
    total, until = 0, 0
    for started, ended in sorted(spans):
        total += max(0, ended - max(started, until))
        until = max(until, ended)
    return total
