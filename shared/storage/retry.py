"""The backoff between tries of a write."""

from __future__ import annotations

import random


def backoff(attempt: int) -> float:
    """Seconds to wait after a failed attempt (from 0): full jitter up to 10 ms, doubling to at most 160 ms."""
    return random.uniform(0, 0.01 * 2 ** min(attempt, 4))  # noqa: S311 - spreads retries, keeps no secret


def contention_backoff(attempt: int, took: float) -> float:
    """Seconds to wait before a change is made anew: full jitter up to 8 times what the try before took, later 16 times.

    A try takes longer the more others there are and the slower the storage is, so the waits follow both. ``took`` is in
    seconds and counts as at least 20 ms, which is what a try takes on DynamoDB; the wait is at most 3 s. Longer than
    ``backoff``, as a change that was overtaken has cost a whole transaction (``docs/adr/0021``).
    """
    window = max(0.02, took) * (16 if attempt else 8)
    return random.uniform(0, min(3.0, window))  # noqa: S311 - as above
