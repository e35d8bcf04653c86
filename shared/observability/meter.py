"""Measures what one request costs: DynamoDB's units and Redis commands; which tier served it, and how all were served.

A context variable holds the current request's meter, so that the storage can charge it without passing it through all
functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

OUTCOMES: Final = ("memory", "redis", "caught_up", "miss", "stale")
"""How the cache served a read: from this process, from Redis, from either plus a few later entries, from the storage,
or from memory while the storage did not respond."""
HITS: Final = ("memory", "redis", "caught_up")
"""The outcomes that count as hits: the storage was not read, or only for a minor part."""
KINDS: Final = ("pages", "channels")
"""What is read through the cache."""


class Ledger:
    """What a container has not reported yet, as background work ends after its request's line. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._commands: Counter[str] = Counter()
        self._stored: dict[str, int] = {}
        self._is_news = False
        self._misconfigured = False
        self._failures: Counter[str] = Counter()
        self._under_way = 0

    def misconfigured(self) -> None:
        """Records that AWS refused a call permanently, for example because of a missing right."""
        with self._lock:
            self._misconfigured = True

    def take_misconfigured(self) -> bool:
        """Whether that was recorded since the last call of this method."""
        with self._lock:
            found, self._misconfigured = self._misconfigured, False
        return found

    def begin(self) -> None:
        """Records that a Redis command begins, whether it will be sent or not."""
        with self._lock:
            self._under_way += 1

    def end(self, failure: str | None) -> None:
        """Records that a Redis command has ended; ``failure`` is the kind of failure, None for success."""
        with self._lock:
            self._under_way -= 1
        if failure:
            self.failed(failure)

    def failed(self, kind: str) -> None:
        """Records a failure of Redis by its kind."""
        with self._lock:
            self._failures[kind] += 1

    @property
    def is_under_way(self) -> bool:
        """Whether a Redis command is running."""
        return self._under_way > 0

    def take_failures(self) -> dict[str, int]:
        """Failures of Redis by kind since the last call."""
        with self._lock:
            failures, self._failures = self._failures, Counter()
        return failures

    def command(self, reason: str) -> None:
        """Records a billed Redis command."""
        with self._lock:
            self._commands[reason] += 1

    def stored(self, key: str, size: int) -> None:
        """Records how many bytes Redis stores under a key."""
        with self._lock:
            self._stored[key] = size
            self._is_news = True

    def take(self) -> tuple[dict[str, int], int | None]:
        """Commands by reason since the last call, and the bytes stored under all known keys, None if unchanged."""
        with self._lock:
            commands, self._commands = self._commands, Counter()
            stored = sum(self._stored.values()) if self._is_news else None
            self._is_news = False
        return commands, stored


@dataclass(slots=True)
class Meter:
    """Counts of one request."""

    ledger: Ledger = field(default_factory=Ledger)

    read_units: float = 0.0
    write_units: float = 0.0
    calls: int = 0
    conflicts: int = 0
    voids: int = 0
    throttles: int = 0
    """Calls, or parts of them, that DynamoDB throttled, by the table or an index, including those that were retried."""
    aws_error: str | None = None
    """The code of the last failed call to AWS; without a response, the name of the exception."""
    redis_commands: int = 0
    tier: str = "none"
    hit_rate: float | None = None
    """The hit rate of this container's reads so far; None if the request did not read through the cache."""
    outcomes: list[str] = field(default_factory=list)
    """The outcome of each read through the cache."""
    misconfigured: bool = False
    """Whether AWS refused a call permanently, in this request or in background work since the previous line."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Failures of Redis by kind, of this request and of background work since the previous line."""
    breaker: str | None = None
    """The failure that opened Redis' circuit breaker; None if it was closed or not used."""
    commands: Mapping[str, int] = field(default_factory=dict)
    """Redis commands by reason, of this request and of background work since the previous line."""
    stored: int | None = None
    """Bytes stored in Redis under all known keys; None if unchanged."""
    is_redis_pending: bool = False
    """Whether a Redis command is still running when the line is written."""
    _lock: Lock = field(default_factory=Lock)

    def charge(
        self, *, read: float = 0.0, write: float = 0.0, calls: int = 0, redis: int = 0, throttles: int = 0
    ) -> None:
        """Adds units, calls, Redis commands and throttles. Thread-safe, as a request may use several threads."""
        with self._lock:
            self.read_units += read
            self.write_units += write
            self.calls += calls
            self.redis_commands += redis
            self.throttles += throttles

    def command(self, reason: str) -> None:
        """Records a billed Redis command in this request and in its container's ledger."""
        self.charge(redis=1)
        self.ledger.command(reason)

    def failed(self, code: str, *, is_permanent: bool) -> None:
        """Records a failed call to AWS; ``is_permanent`` if it will fail until somebody corrects the cause."""
        self.aws_error = code
        if is_permanent:
            self.ledger.misconfigured()

    def close(self) -> None:
        """Moves everything unreported from the container's ledger into this meter, before its line is written."""
        self.commands, self.stored = self.ledger.take()
        self.misconfigured = self.ledger.take_misconfigured()
        self.failures = self.ledger.take_failures()
        self.is_redis_pending = self.ledger.is_under_way

    def server_timing(self, milliseconds: float) -> str:
        """The ``Server-Timing`` header: ``total``, the tier, DynamoDB's units and Redis commands."""
        return (
            f'total;dur={milliseconds:.1f}, tier;desc="{self.tier}", '
            f'dynamodb;desc="read={self.read_units:g} write={self.write_units:g} calls={self.calls}", '
            f'redis;desc="commands={self.redis_commands}"'
        )


_current: ContextVar[Meter] = ContextVar("meter")


def start_meter(ledger: Ledger | None = None) -> Meter:
    """Starts a new meter for the request that begins in this context; ``ledger`` is its container's."""
    meter = Meter(ledger or Ledger())
    _current.set(meter)
    return meter


def meter() -> Meter:
    """The current request's meter; outside of a request, a new one that nobody reads."""
    return _current.get(None) or Meter()


class CacheMetrics:
    """Thread-safe counters."""

    def __init__(self) -> None:
        self._lock = Lock()
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
