"""A circuit breaker: after repeated failures no calls are made for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

MAX_OPEN_MS: Final = 5 * 60_000


class Breaker:
    """Closed it allows all calls, open none, half open a single probe. Thread-safe.

    Args:
        now: milliseconds since 1970.
        failures: how many failures in a row open it.
        open_ms: how long it stays open at first; each failed probe doubles it, up to 5 minutes.
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
        """Whether a call may be made now; if so, the caller must report its outcome."""
        with self._lock:
            if self.state == "closed":
                return True
            if self.state == "open" or self._probing:
                return False
            self._probing = True
            return True

    def succeeded(self) -> None:
        """Reports a successful call."""
        with self._lock:
            self._failures, self._open_until, self._probing = 0, 0, False
            self._open_for = self._first_open_ms

    def failed(self, until: int | None = None, cause: str = "error") -> None:
        """Reports a failed call.

        Args:
            until: when calls may succeed again (ms since 1970), if that is known.
            cause: the kind of failure.
        """
        with self._lock:
            self._failures += 1
            if until is not None:
                self._open_until, self._cause = max(self._open_until, until), cause
            elif self._probing or (self.state == "closed" and self._failures >= self._failures_to_open):
                # Not while it is open: late failures of calls that began earlier prove nothing new.
                self._open_until, self._cause = self._now() + self._open_for, cause
                self._open_for = min(2 * self._open_for, MAX_OPEN_MS)
            self._probing = False
