"""What one request costs: DynamoDB's units, Redis commands, and which tier answered.

A context variable holds the meter of the request at hand, so that the storage can charge it without every
function on the way passing it along.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True)
class Meter:
    """Counts of one request."""

    read_units: float = 0.0
    write_units: float = 0.0
    calls: int = 0
    conflicts: int = 0
    voids: int = 0
    redis_commands: int = 0
    tier: str = "none"
    hit_rate: float | None = None
    """Of this container's reads so far; None where the request read nothing that is cached."""
    _lock: Lock = field(default_factory=Lock)

    def charge(self, *, read: float = 0.0, write: float = 0.0, calls: int = 0, redis: int = 0) -> None:
        """Adds units, calls and Redis commands; two threads may work on one request."""
        with self._lock:
            self.read_units += read
            self.write_units += write
            self.calls += calls
            self.redis_commands += redis

    def server_timing(self, milliseconds: float) -> str:
        """The ``Server-Timing`` header: ``total``, the tier, DynamoDB's units and Redis commands."""
        return (
            f'total;dur={milliseconds:.1f}, tier;desc="{self.tier}", '
            f'dynamodb;desc="read={self.read_units:g} write={self.write_units:g} calls={self.calls}", '
            f'redis;desc="commands={self.redis_commands}"'
        )


_current: ContextVar[Meter] = ContextVar("meter")


def start_meter() -> Meter:
    """A fresh meter for the request that begins in this context."""
    meter = Meter()
    _current.set(meter)
    return meter


def meter() -> Meter:
    """The meter of the request at hand; a throw-away one outside of a request."""
    return _current.get(None) or Meter()
