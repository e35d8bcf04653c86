"""What one request costs: DynamoDB's units, Redis commands, and which tier answered.

A context variable holds the meter of the request at hand, so that the storage can charge it without every
function on the way passing it along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

OUTCOMES: Final = ("memory", "redis", "caught_up", "miss", "stale")
"""How the cache served a read: from this process, from Redis, from either and a few later entries, from the storage, or
from memory while the storage did not answer."""
HITS: Final = ("memory", "redis", "caught_up")
"""Those that needed nothing whole from the storage."""


class Ledger:
    """What a container has still to report: work beside requests ends after their lines are written. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._commands: Counter[str] = Counter()
        self._stored: dict[str, int] = {}
        self._is_news = False
        self._misconfigured = False
        self._failures: Counter[str] = Counter()
        self._under_way = 0

    def misconfigured(self) -> None:
        """Notes that AWS refused something for a cause that lasts, such as a missing right."""
        with self._lock:
            self._misconfigured = True

    def take_misconfigured(self) -> bool:
        """Whether that was so since the last call."""
        with self._lock:
            found, self._misconfigured = self._misconfigured, False
        return found

    def begin(self) -> None:
        """A Redis command begins, whether it will be sent or not."""
        with self._lock:
            self._under_way += 1

    def end(self, failure: str | None) -> None:
        """It has ended, with a failure of this kind or well."""
        with self._lock:
            self._under_way -= 1
        if failure:
            self.failed(failure)

    def failed(self, kind: str) -> None:
        """Notes why Redis did not do something."""
        with self._lock:
            self._failures[kind] += 1

    @property
    def is_under_way(self) -> bool:
        """Whether a Redis command has begun and not ended."""
        return self._under_way > 0

    def take_failures(self) -> dict[str, int]:
        """Failures of Redis by kind since the last call."""
        with self._lock:
            failures, self._failures = self._failures, Counter()
        return failures

    def command(self, reason: str) -> None:
        """Notes a Redis command that is billed."""
        with self._lock:
            self._commands[reason] += 1

    def stored(self, key: str, size: int) -> None:
        """Notes the bytes that Redis has under a key."""
        with self._lock:
            self._stored[key] = size
            self._is_news = True

    def take(self) -> tuple[dict[str, int], int | None]:
        """Commands by reason since the last call; bytes stored under all known keys, None if nothing new is known."""
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
    """Calls, or parts of them, that DynamoDB throttled, of the table or an index, also those that were tried again."""
    aws_error: str | None = None
    """The code of the last call to AWS that failed; of one without an answer, the kind of exception."""
    redis_commands: int = 0
    tier: str = "none"
    hit_rate: float | None = None
    """Of this container's reads so far; None where the request read nothing that is cached."""
    outcomes: list[str] = field(default_factory=list)
    """How each read of something that is cached was served."""
    misconfigured: bool = False
    """Whether AWS refused something for a cause that lasts, for this request or beside those before it."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Failures of Redis by kind that this request's line reports: its own, and those after the line before."""
    breaker: str | None = None
    """Why the request found Redis' circuit breaker not closed; None where it was closed or not asked."""
    commands: Mapping[str, int] = field(default_factory=dict)
    """Redis commands by reason that this request's line reports: its own, and those after the line before."""
    stored: int | None = None
    """Bytes stored in Redis under all known keys; None if nothing new is known."""
    is_redis_pending: bool = False
    """Whether a Redis command goes on when the line is written."""
    _lock: Lock = field(default_factory=Lock)

    def charge(
        self, *, read: float = 0.0, write: float = 0.0, calls: int = 0, redis: int = 0, throttles: int = 0
    ) -> None:
        """Adds units, calls, Redis commands and throttles; two threads may work on one request."""
        with self._lock:
            self.read_units += read
            self.write_units += write
            self.calls += calls
            self.redis_commands += redis
            self.throttles += throttles

    def command(self, reason: str) -> None:
        """A Redis command, charged to this request and entered in its container's ledger."""
        self.charge(redis=1)
        self.ledger.command(reason)

    def failed(self, code: str, *, is_permanent: bool) -> None:
        """A call to AWS failed, with this code; ``is_permanent`` if it will until somebody changes something."""
        self.aws_error = code
        if is_permanent:
            self.ledger.misconfigured()

    def close(self) -> None:
        """Takes over from the container's ledger what this request's line reports, as it is the next one written."""
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
    """A fresh meter for the request that begins in this context; ``ledger`` is its container's."""
    meter = Meter(ledger or Ledger())
    _current.set(meter)
    return meter


def meter() -> Meter:
    """The meter of the request at hand; a throw-away one outside of a request."""
    return _current.get(None) or Meter()
