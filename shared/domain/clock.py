"""Time: the clock that all containers share, and the format of times on the wire."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_SKEW_MS: Final = 10 * 60 * 1000
"""A time from another container is respected if it is ahead of this container's clock by at most this: one clock may be
five minutes fast, the other five minutes slow."""
TOLERANCE_MS: Final = 1_000
"""A clock is not corrected for a smaller error, beyond the uncertainty of a ``Date`` in whole seconds."""
CLOCKS_APART_MS: Final = 5_000
"""The largest difference between two containers that have had a response from the storage: twice tolerance plus one
second, and 1 s to spare."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class SharedClock:
    """This container's own clock, corrected by the storage's, so that containers agree to within a few seconds.

    Values that one container writes and another compares with its clock (rate states, idempotency records, ages of
    entries) need one clock. Each response of the storage carries its time, in whole seconds.

    Args:
        own: milliseconds since 1970 by this container's clock.
    """

    def __init__(self, own: Callable[[], int] = now_ms) -> None:
        self._own = own
        self._offset = 0
        self._last_date = ""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self._own() + self._offset

    def on_server_date(self, date: str | None, seconds: float) -> None:
        """Corrects the clock by a response of the storage.

        Args:
            date: the response's HTTP ``Date``; None if it had none.
            seconds: how long the call took.
        """
        if date is None or date == self._last_date:
            return
        self._last_date = date
        try:
            begun = round(parsedate_to_datetime(date).timestamp() * 1000)
        except ValueError:
            return
        received = self._own()
        least, most = begun - received, begun + 1000 - received + round(seconds * 1000)
        if not least - TOLERANCE_MS <= self._offset <= most + TOLERANCE_MS:
            self._offset = (least + most) // 2


def not_before(now: int, earlier: int) -> int:
    """``now``, or ``earlier`` if another container's clock was a little ahead, so that times do not go back."""
    return earlier if now < earlier <= now + MAX_SKEW_MS else now


def rfc3339(milliseconds: int) -> str:
    """A time in the wire's format: ``2026-11-23T18:44:24.123Z``."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def from_rfc3339(text: str) -> int:
    """The inverse of ``rfc3339``."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
