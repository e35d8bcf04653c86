"""How long a write waits before it is tried again."""

from __future__ import annotations

import random


def backoff(attempt: int) -> float:
    """Seconds to wait before attempt + 1: full jitter below 10 ms, doubling up to 160 ms."""
    return random.uniform(0, 0.01 * 2 ** min(attempt, 4))  # noqa: S311 - spreads retries, keeps no secret
