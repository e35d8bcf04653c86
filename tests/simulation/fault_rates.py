"""How often each fault happens: drawn anew for every phase of a world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")
SKEW_MS: Final = 300_000
"""How far a container's clock may be off, either way."""
QUIET_MS: Final = 60_000
"""Longer than any request runs; after it the log is read once more."""


@dataclass(frozen=True, slots=True)
class StoreFaultRates:
    """Probabilities for each call to the storage."""

    before: float = 0.001
    """Throttled or unreachable, without effect."""
    after: float = 0.001
    """With effect, but the response is lost."""
    again: float = 0.003
    """The response is lost and the SDK sends the request again."""
    contended: float = 0.01
    """A transaction meets another one."""
    torn: float = 0.1
    """A read of several items sees them at different moments, as DynamoDB's Query and BatchGetItem may."""
    pause: float = 0.003
    """The container is frozen for up to 20 s."""
    die: float = 0.002


@dataclass(frozen=True, slots=True)
class RedisFaultRates:
    """Probabilities for each command."""

    refused: float = 0.005
    hang: float = 0.005
    lag_ms: float = 0.0
    """Replicas lag by up to this much."""
    lost: float = 0.0
    """A write is acknowledged and gone."""
    late: float = 0.0
    """A write takes effect up to 5 s after its response."""
    unanswered: float = 0.005
    """A write takes effect, its response is lost."""
    evicted: float = 0.01
    corrupt: float = 0.01


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a world's time: how many requests, how far apart, under which fault rates."""

    requests: int
    gap_ms: float
    """Mean time between two requests."""
    store: StoreFaultRates
    redis: RedisFaultRates


_STORE: Final = (
    (70, StoreFaultRates()),
    (12, StoreFaultRates(before=0.06, after=0.06, again=0.05, contended=0.2)),
    (8, StoreFaultRates(torn=0.8, pause=0.02, die=0.002)),
    (5, StoreFaultRates(die=0.05, pause=0.05)),
    (5, StoreFaultRates(before=1.0)),
)
_REDIS: Final = (
    (25, RedisFaultRates()),
    (35, RedisFaultRates(lag_ms=5_000.0)),
    (15, RedisFaultRates(lag_ms=5_000.0, lost=0.4, late=0.4, unanswered=0.1)),
    (10, RedisFaultRates(refused=0.6, hang=0.4)),
    (10, RedisFaultRates(lag_ms=2_000.0, corrupt=0.6, evicted=0.2)),
    (5, RedisFaultRates(evicted=0.9)),
)
_GAPS_MS: Final = ((45, 3.0), (30, 30.0), (15, 500.0), (10, 6_000.0))
NO_FAULTS: Final = (StoreFaultRates(0, 0, 0, 0, 0, 0, 0), RedisFaultRates(0, 0, 0, 0, 0, 0, 0, 0))
"""For the end, when everything is read once more."""
OUTAGE: Final = (StoreFaultRates(1, 0, 0, 0, 0, 0, 0), NO_FAULTS[1])
"""For the end too: what the stale fallback serves is read."""


def next_phase(rng: Random) -> Phase:
    """The next phase: mostly few faults, seldom many at once."""
    store = _draw(rng, _STORE)
    gap = _draw(rng, _GAPS_MS)
    if store.before == 1.0:
        # An outage lasts from seconds to several minutes: beyond every freshness time.
        gap = rng.choice((100.0, 2_000.0, 10_000.0))
        store = replace(store, before=rng.choice((0.5, 0.95, 1.0)))
    return Phase(rng.randint(15, 60), gap, store, _draw(rng, _REDIS))


def _draw(rng: Random, choices: tuple[tuple[int, T], ...]) -> T:
    return rng.choices([choice for _, choice in choices], [weight for weight, _ in choices])[0]
