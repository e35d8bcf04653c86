"""A circuit breaker: what fails again and again is left alone for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

MAX_OPEN_MS: Final = 5 * 60_000


class Breaker:
    """Closed lets everything through, open nothing; half open lets one probe through. Thread-safe.

    Args:
        now: milliseconds since 1970.
        failures: in a row, that open it.
        open_ms: how long it stays open first; each failed probe doubles that, up to 5 minutes.
    """

    def __init__(self, now: Callable[[], int], failures: int = 3, open_ms: int = 10_000) -> None:
        self._now = now
        self._failures_to_open = failures
        self._first_open_ms = open_ms
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0
        self._open_for = open_ms
        self._probing = False
        self._cause: str | None = None

    @property
    def cause(self) -> str | None:
        """The kind of the failure that opened it; None while it is closed."""
        return self._cause if self._open_until else None

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half_open``."""
        if not self._open_until:
            return "closed"
        return "open" if self._now() < self._open_until else "half_open"

    def allows(self) -> bool:
        """Whether a call may be made now; who is told yes must report how it went."""
        with self._lock:
            if self.state == "closed":
                return True
            if self.state == "open" or self._probing:
                return False
            self._probing = True
            return True

    def succeeded(self) -> None:
        """A call went well."""
        with self._lock:
            self._failures, self._open_until, self._probing = 0, 0, False
            self._open_for = self._first_open_ms

    def failed(self, until: int | None = None, cause: str = "error") -> None:
        """A call failed; ``until`` (ms since 1970) where it is known how long others would, ``cause`` its kind."""
        with self._lock:
            self._failures += 1
            if until is not None:
                self._open_until, self._cause = max(self._open_until, until), cause
            elif self._probing or (self.state == "closed" and self._failures >= self._failures_to_open):
                # Not while it is open: calls that began before fail late, and prove nothing new.
                self._open_until, self._cause = self._now() + self._open_for, cause
                self._open_for = min(2 * self._open_for, MAX_OPEN_MS)
            self._probing = False
