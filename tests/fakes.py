"""Fakes that pass the contract suite of the real thing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.cache.blocks import Cached
from shared.cache.upstash import RedisError, Upstash, UpstashOptions
from shared.observability.meter import CacheMetrics


@dataclass
class Shelf:
    """What the fake tiers of several containers share."""

    values: dict[str, tuple[Cached, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class DictTier:
    """A tier over a shelf, at once visible to every container.

    Args:
        shelf: where the values lie.
        max_bytes: of all values; the least recently used goes first.
        keep_seconds: how long a value is kept.
        now: milliseconds since 1970.
    """

    name = "fake"

    def __init__(self, shelf: Shelf, max_bytes: int, keep_seconds: float, now: Callable[[], int]) -> None:
        self._shelf = shelf
        self._max_bytes = max_bytes
        self._keep_ms = round(keep_seconds * 1000)
        self._now = now

    def begin(self) -> None:
        """Nothing to start."""

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        """See ``Tier``."""
        found: dict[str, Cached] = {}
        with self._shelf.lock:
            for key in keys:
                value, until = self._shelf.values.pop(key, (None, 0))
                if value is not None and until >= self._now():
                    self._shelf.values[key] = value, until
                    found[key] = value
        return found

    def origin(self, keys: Iterable[str]) -> str:  # noqa: ARG002 - the interface
        """See ``Tier``."""
        return "redis"

    def put(self, items: Mapping[str, Cached]) -> None:
        """See ``Tier``."""
        with self._shelf.lock:
            values = self._shelf.values
            for key, value in items.items():
                values.pop(key, None)
                if value.size <= self._max_bytes:
                    values[key] = value, self._now() + self._keep_ms
            while sum(value.size for value, _ in values.values()) > self._max_bytes:
                del values[next(iter(values))]


class MeasuredUpstash(Upstash):
    """The wrapper of the Redis client, whose metrics a test can read."""

    def __init__(self, options: UpstashOptions, now: Callable[[], int]) -> None:
        self.metrics = CacheMetrics()
        super().__init__(options, self.metrics, now)


class FakeUpstash(MeasuredUpstash):
    """A database in a dictionary: ``GET`` and ``SET``, and what a test wants to go wrong.

    Args:
        now: milliseconds since 1970.
        values: the database; fakes may share one.
        budget: see ``Upstash.budget_seconds``.
    """

    def __init__(
        self, now: Callable[[], int], values: dict[str, Any] | None = None, budget: float = 0.5
    ) -> None:
        milliseconds = round(budget * 1000)
        options = UpstashOptions("http://fake.invalid", "none", 0, milliseconds, wait_ms=milliseconds)
        super().__init__(options, now)
        self.values: dict[str, Any] = {} if values is None else values
        self.commands: list[tuple[str | int, ...]] = []
        self.reasons: list[str] = []
        self.failure: str | None = None
        """The kind of error that each command fails with."""
        self.gate = threading.Event()
        """Commands wait until it is set."""
        self.gate.set()

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:
        """See ``Upstash``; the breaker is not asked."""
        self.reasons.append(reason)
        self.commands.append((command, *arguments))
        self.gate.wait()
        if self.failure:
            raise RedisError(self.failure)
        if command == "SET":
            self.values[str(arguments[0])] = arguments[1]
            return "OK"
        return self.values.get(str(arguments[0]))
