"""Limits how often a costly operation may run in this container."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Allowance:
    """A token bucket. Thread-safe.

    Args:
        at_once: its capacity.
        every_ms: the time after which one token is added.
        now: milliseconds since 1970.
    """

    def __init__(self, at_once: int, every_ms: int, now: Callable[[], int]) -> None:
        self._most_ms = at_once * every_ms
        self._every_ms = every_ms
        self._now = now
        self._lock = threading.Lock()
        self._left_ms = self._most_ms
        self._counted_at = now()

    def take(self) -> bool:
        """Takes a token; False if there is none."""
        with self._lock:
            now = self._now()
            gained = max(now - self._counted_at, 0)
            self._left_ms, self._counted_at = min(self._left_ms + gained, self._most_ms), now
            if self._left_ms < self._every_ms:
                return False
            self._left_ms -= self._every_ms
            return True
