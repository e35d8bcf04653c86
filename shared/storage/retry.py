"""The backoff between tries of a write."""

from __future__ import annotations

import random


def backoff(attempt: int) -> float:
    """Seconds to wait after a failed attempt (from 0): full jitter up to 10 ms, doubling to at most 160 ms."""
    return random.uniform(0, 0.01 * 2 ** min(attempt, 4))  # noqa: S311 - spreads retries, keeps no secret
