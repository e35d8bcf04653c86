"""GCRA, the generic cell rate algorithm: one number (the theoretical arrival time) is the whole state. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from shared.domain.clock import CLOCKS_APART_MS


@dataclass(frozen=True, slots=True)
class Rate:
    """One message every ``interval_ms`` on average, ``burst`` at once."""

    interval_ms: int
    burst: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether messages may pass, and what the caller is told. ``tat`` is the state to keep if they do."""

    allowed: bool
    tat: int
    limit: int
    remaining: int
    reset_seconds: int
    """Until the whole burst is available again."""
    retry_after_seconds: int
    """Until this request would pass; 0 if it does."""


def decide(rate: Rate, tat: int, now: int, cost: int = 1) -> Verdict:
    """Whether ``cost`` messages may pass at ``now`` (ms), given the state ``tat`` (ms).

    ``cost`` is at most the burst: more could never pass, however long the wait, and is the caller's to refuse.

    A state further ahead than a used burst and any clock can be was written at a slower rate, or by a container that
    nobody told the time: then this request passes as the last one of the burst, so that the state is a true one again.
    Below that the state is kept to, as the limit would vanish for a user whom two containers with different clocks
    serve in turns.
    """
    full = rate.burst * rate.interval_ms
    if tat > now + full + CLOCKS_APART_MS:
        tat = now + (rate.burst - cost) * rate.interval_ms
    tat = max(tat, now)
    wait = tat + cost * rate.interval_ms - (now + full)
    allowed = wait <= 0
    after = tat + cost * rate.interval_ms if allowed else tat
    remaining = max(0, rate.burst - ceil((after - now) / rate.interval_ms))
    return Verdict(
        allowed=allowed,
        tat=after,
        limit=rate.burst,
        remaining=remaining,
        reset_seconds=ceil((after - now) / 1000),
        retry_after_seconds=0 if allowed else max(1, ceil(wait / 1000)),
    )
