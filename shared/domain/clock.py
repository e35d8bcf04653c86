"""Time: the one that all containers share, and how it is written on the wire."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_SKEW_MS: Final = 10 * 60 * 1000
"""How far ahead another container's clock may have been for its time still to be kept to: one five minutes ahead of
the right time, the other five behind."""
TOLERANCE_MS: Final = 1_000
"""A clock that is off by no more, beyond what an answer's whole seconds leave open, is let be."""
CLOCKS_APART_MS: Final = 5_000
"""No two containers that have heard the storage are further apart: twice tolerance and a second, and 1 s to spare."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class SharedClock:
    """This container's own clock, put right where it is not the storage's: so no two containers disagree by much.

    What one container writes and another one judges (rate states, receipts, ages of entries) needs one clock. Each of
    the storage's answers carries the storage's time, in whole seconds.

    Args:
        own: milliseconds since 1970 by this container's clock.
    """

    def __init__(self, own: Callable[[], int] = now_ms) -> None:
        self._own = own
        self._offset = 0
        self._said = ""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self._own() + self._offset

    def on_server_date(self, said: str | None, seconds: float) -> None:
        """The storage's answer said this time (an HTTP ``Date``), after so many seconds; None where it said none."""
        if said is None or said == self._said:
            return
        self._said = said
        try:
            begun = round(parsedate_to_datetime(said).timestamp() * 1000)
        except ValueError:
            return
        received = self._own()
        least, most = begun - received, begun + 1000 - received + round(seconds * 1000)
        if not least - TOLERANCE_MS <= self._offset <= most + TOLERANCE_MS:
            self._offset = (least + most) // 2


def not_before(now: int, earlier: int) -> int:
    """``now``, or ``earlier`` where another container's clock was a little ahead: times do not go back."""
    return earlier if now < earlier <= now + MAX_SKEW_MS else now


def rfc3339(milliseconds: int) -> str:
    """A time as the wire has it: ``2026-11-23T18:44:24.123Z``."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def from_rfc3339(text: str) -> int:
    """The inverse of ``rfc3339``."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
