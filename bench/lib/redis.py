"""Upstash as a bench sees it: counts commands as they are billed, and takes time that is only added up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bench.lib.timing import REDIS_MS, Stopwatch
from shared.cache.breaker import Breaker
from shared.cache.metrics import CacheMetrics
from shared.cache.upstash import RedisError
from shared.meter import meter

TIMEOUT_MS: Final = 300.0


class Database:
    """What all containers share: values with their expiry, and when it cannot be reached."""

    def __init__(self, outages: list[tuple[int, int]] | None = None) -> None:
        self.values: dict[str, tuple[str, float]] = {}
        self.outages = outages or []
        self.commands = 0
        self.reasons: dict[str, int] = {}
        self.most_bytes = 0
        self.moved = 0
        """Bytes that values took on the wire, either way."""

    def reset_counts(self) -> None:
        """Counts from here on; what is stored stays."""
        self.commands, self.reasons, self.moved = 0, {}, 0

    def is_down(self, now: int) -> bool:
        """Whether it cannot be reached at this time."""
        return any(start <= now < end for start, end in self.outages)

    def run(self, now: int, command: str, arguments: tuple[Any, ...]) -> object:
        """GET, MGET, SET … EX, DEL."""
        answer = self._run(now, command, arguments)
        value = arguments[1] if command == "SET" else answer
        self.moved += len(value) if isinstance(value, str) else 0
        return answer

    def _run(self, now: int, command: str, arguments: tuple[Any, ...]) -> object:
        if command == "MGET":
            return [self._get(now, key) for key in arguments]
        if command == "GET":
            return self._get(now, arguments[0])
        if command == "SET":
            key, value, _, seconds = arguments
            self.values[key] = (value, now + seconds * 1000)
            held = sum(len(key) + len(value) for key, (value, until) in self.values.items() if now < until)
            self.most_bytes = max(self.most_bytes, held)
            return "OK"
        assert command == "DEL"
        return sum(self.values.pop(key, None) is not None for key in arguments)

    def _get(self, now: int, key: str) -> str | None:
        value, until = self.values.get(key, (None, 0.0))
        return value if now < until else None


class SimUpstash:
    """One container's client, with the breaker and the interface of ``shared.cache.upstash.Upstash``."""

    budget_seconds: float = 5.0

    def __init__(self, database: Database, now: Callable[[], int], stopwatch: Stopwatch) -> None:
        self._database = database
        self._now = now
        self._stopwatch = stopwatch
        self.metrics = CacheMetrics()
        self.breaker = Breaker(now)

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - as the real one
        """One command's result; a time-out while the database is down."""
        if not self.breaker.allows():
            raise RedisError("breaker_open")
        self._database.commands += 1
        self._database.reasons[reason] = self._database.reasons.get(reason, 0) + 1
        meter().charge(redis=1)
        if self._database.is_down(self._now()):
            self._stopwatch.add(TIMEOUT_MS)
            self.breaker.failed()
            raise RedisError("timeout")
        self._stopwatch.add(REDIS_MS)
        self.breaker.succeeded()
        return self._database.run(self._now(), command, arguments)
