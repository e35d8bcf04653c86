"""What goes wrong, and how often: drawn anew for every phase of a world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")
SKEW_MS: Final = 300_000
"""How far a container's clock may be off, either way."""
QUIET_MS: Final = 60_000
"""Longer than any request lives; after it the log is read once more."""


@dataclass(frozen=True, slots=True)
class StoreWeather:
    """Probabilities for each call to the storage."""

    before: float = 0.001
    """Throttled or unreachable, without effect."""
    after: float = 0.001
    """With effect, but the answer is lost."""
    again: float = 0.003
    """The answer is lost and the SDK sends the request again."""
    contended: float = 0.01
    """A transaction meets another one."""
    torn: float = 0.1
    """A read of several items sees them at different moments, as DynamoDB's Query and BatchGetItem may."""
    pause: float = 0.003
    """The container stands still for up to 20 s."""
    die: float = 0.002


@dataclass(frozen=True, slots=True)
class RedisWeather:
    """Probabilities for each command."""

    refused: float = 0.005
    hang: float = 0.005
    lag_ms: float = 0.0
    """Replicas are behind by up to so much."""
    lost: float = 0.0
    """A write is acknowledged and gone."""
    late: float = 0.0
    """A write takes effect up to 5 s after its answer."""
    unanswered: float = 0.005
    """A write takes effect, its answer is lost."""
    evicted: float = 0.01
    corrupt: float = 0.01


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a world: so many requests at such distances in such weather."""

    requests: int
    gap_ms: float
    """Mean time between two requests."""
    store: StoreWeather
    redis: RedisWeather


_STORE: Final = (
    (70, StoreWeather()),
    (12, StoreWeather(before=0.06, after=0.06, again=0.05, contended=0.2)),
    (8, StoreWeather(torn=0.8, pause=0.02, die=0.002)),
    (5, StoreWeather(die=0.05, pause=0.05)),
    (5, StoreWeather(before=1.0)),
)
_REDIS: Final = (
    (25, RedisWeather()),
    (35, RedisWeather(lag_ms=5_000.0)),
    (15, RedisWeather(lag_ms=5_000.0, lost=0.4, late=0.4, unanswered=0.1)),
    (10, RedisWeather(refused=0.6, hang=0.4)),
    (10, RedisWeather(lag_ms=2_000.0, corrupt=0.6, evicted=0.2)),
    (5, RedisWeather(evicted=0.9)),
)
_GAPS_MS: Final = ((45, 3.0), (30, 30.0), (15, 500.0), (10, 6_000.0))
FINE: Final = (StoreWeather(0, 0, 0, 0, 0, 0, 0), RedisWeather(0, 0, 0, 0, 0, 0, 0, 0))
"""For the end, when what is left is read once more."""
OUTAGE: Final = (StoreWeather(1, 0, 0, 0, 0, 0, 0), FINE[1])
"""And for what may stand in then."""


def next_phase(rng: Random) -> Phase:
    """What comes next: mostly quiet, seldom all at once."""
    store = _draw(rng, _STORE)
    gap = _draw(rng, _GAPS_MS)
    if store.before == 1.0:
        # An outage lasts from seconds to several minutes: beyond every freshness time.
        gap = rng.choice((100.0, 2_000.0, 10_000.0))
        store = replace(store, before=rng.choice((0.5, 0.95, 1.0)))
    return Phase(rng.randint(15, 60), gap, store, _draw(rng, _REDIS))


def _draw(rng: Random, choices: tuple[tuple[int, T], ...]) -> T:
    return rng.choices([choice for _, choice in choices], [weight for weight, _ in choices])[0]
