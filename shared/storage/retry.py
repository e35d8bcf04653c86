"""The backoff between tries of a write."""

from __future__ import annotations

import random


def backoff(attempt: int) -> float:
    """Seconds to wait after a failed attempt (from 0): full jitter up to 10 ms, doubling to at most 160 ms."""
    return random.uniform(0, 0.01 * 2 ** min(attempt, 4))  # noqa: S311 - spreads retries, keeps no secret


def contention_backoff(attempt: int) -> float:
    """Seconds to wait before a change is made anew: full jitter up to 100 ms, doubling to at most 1.6 s.

    Longer than ``backoff``, as a change that was overtaken has cost a whole transaction. Chosen with
    ``bench.contention``: when 64 members react to one message at once, a reaction takes 5.4 transactions, with
    ``backoff`` 12.
    """
    return random.uniform(0, 0.1 * 2 ** min(attempt, 4))  # noqa: S311 - as above
