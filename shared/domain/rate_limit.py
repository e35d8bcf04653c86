"""GCRA, the generic cell rate algorithm; its whole state is one number, the theoretical arrival time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from shared.domain.clock import CLOCKS_APART_MS


@dataclass(frozen=True, slots=True)
class Rate:
    """On average one message or change every ``interval_ms``, up to ``burst`` at once."""

    interval_ms: int
    burst: int

    @classmethod
    def per_second(cls, count: float, burst: int) -> Rate:
        """GCRA counts in milliseconds, so the fastest rate is 1,000 messages a second."""
        return cls(max(1, round(1000 / count)), burst)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether messages may pass, and the values of the response's headers. ``tat`` is the state to store if they do."""

    allowed: bool
    tat: int
    limit: int
    remaining: int
    reset_seconds: int
    """Time until the whole burst is available again."""
    retry_after_seconds: int
    """Time until this request would pass; 0 if it does now."""


def decide(rate: Rate, tat: int, now: int, cost: int = 1) -> Verdict:
    """Whether ``cost`` messages may pass at ``now`` (ms), given the state ``tat`` (ms).

    ``cost`` must be at most the burst; the caller must refuse more, as it could never pass.

    If the state is further ahead than a used burst and the clocks' difference can explain, it was written at a slower
    rate or by a container without the shared time. This request then passes as the last one of a burst, which makes the
    state valid again. A smaller lead is respected; otherwise the limit would not hold for a user whose requests
    alternate between two containers with different clocks.
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
