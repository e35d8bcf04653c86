"""The kinds of Upstash's errors, and how long each of them lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

ANSWERED: Final = frozenset({"wrong_type", "too_large"})
"""Errors of a single command; Redis itself works."""
AUTH_OPEN_MS: Final = 10 * 60_000
"""How long no command is sent after a token was refused."""
FULL_OPEN_MS: Final = 10 * 60_000

KINDS: Final = frozenset(
    {
        *("timeout", "unreachable", "disconnected", "garbled", "client"),
        *("daily_quota", "monthly_quota", "refused_token", "full", "too_large", "wrong_type", "error"),
        *("no_token", "no_key", "no_cipher"),
    }
)
"""All kinds of failure in log lines, metrics and the health check; docs/operations.md says what to do for each."""
_KINDS: Final = (
    ("max daily request limit exceeded", "daily_quota"),
    ("max requests limit exceeded", "monthly_quota"),
    ("wrongpass", "refused_token"),
    ("unauthorized", "refused_token"),
    ("noperm", "refused_token"),
    ("capacity quota exceeded", "full"),
    ("oom ", "full"),
    ("max request size exceeded", "too_large"),
    ("wrongtype", "wrong_type"),
)


def kind_of(text: str) -> str:
    """The kind of an error, found by its text, as Upstash's errors have no code."""
    lowered = text.lower()
    return next((kind for part, kind in _KINDS if part in lowered), "error")


def useless_until(kind: str, now_ms: int) -> int | None:
    """When a retry may succeed, in ms since 1970; None if unknown. Quotas are reset at midnight UTC."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    known = {
        "daily_quota": round((midnight + timedelta(days=1)).timestamp() * 1000),
        "monthly_quota": round(first.timestamp() * 1000),
        "refused_token": now_ms + AUTH_OPEN_MS,
        "full": now_ms + FULL_OPEN_MS,
    }
    return known.get(kind)
