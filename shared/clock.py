"""Time, and how it is written on the wire."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

MAX_SKEW_MS: Final = 5 * 60 * 1000
"""How far ahead another container's clock may have been for its time still to be kept to."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


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
