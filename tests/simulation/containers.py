"""A function's container: the project's own code over the simulated storage, Redis, clock and background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from operators.erase_user import Eraser
from shared.bootstrap import Services
from shared.cache.build import Cache, memory_tiers
from shared.cache.pages import CachedLogReader
from shared.cache.redis import BundlePolicy, RedisTier
from shared.cache.stale_fallback import StaleFallback
from shared.cache.upstash import UpstashOptions
from shared.domain.clock import SharedClock
from shared.observability.meter import CacheMetrics
from shared.runtime.parallel import Background
from shared.settings import Settings
from shared.storage.log_reader import DirectLogReader
from shared.storage.protocol import Store
from shared.use_cases.fetch_messages import fetch_messages
from shared.use_cases.list_channels import list_channels
from shared.use_cases.post_message import post_message
from tests.simulation.redis import SimUpstash
from tests.simulation.scheduler import Fiber, Host
from tests.simulation.store import SimStore

if TYPE_CHECKING:
    from tests.simulation.world import World

OPTIONS: Final = UpstashOptions("", "")
LONGEST_PAUSE_MS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Code:
    """The code under test: the project's own, or with one part replaced by a mutant."""

    store: type[SimStore] = SimStore
    direct: type[DirectLogReader] = DirectLogReader
    reader: type[CachedLogReader] = CachedLogReader
    tier: type[RedisTier] = RedisTier
    stale_fallback: type[StaleFallback] = StaleFallback
    fetch: Callable[..., object] = fetch_messages
    post: Callable[..., object] = post_message
    listing: Callable[..., object] = list_channels
    eraser: type[Eraser] = Eraser


@dataclass(frozen=True, slots=True)
class Sizes:
    """What differs from world to world."""

    settings: Settings
    policy: BundlePolicy


class Container(Host):
    """One container, from its cold start to its death.

    Args:
        world: the one it lives in.
        name: for traces.
        skew_ms: how far its clock is off.
        sizes: the settings.
    """

    def __init__(self, world: World, name: str, skew_ms: int, sizes: Sizes) -> None:
        super().__init__(world.loop)
        self.world = world
        self.name = name
        self.failures = 0
        """Calls to the storage that failed, so far."""
        self._skew_ms = skew_ms
        self.clock = SharedClock(self.now)
        self.services = self._compose(world.code, sizes)

    def now(self) -> int:
        """Milliseconds since 1970, by this container's clock."""
        return int(self.world.loop.now) + self._skew_ms

    def step(self, what: str) -> None:
        """Time passes; the container may be frozen for long, or die.

        Raises:
            DiedError: it died.
        """
        world, rates = self.world, self.world.phase.store
        draw = world.rng.random()
        if draw < rates.die:
            world.count("container died")
            world.note(f"{self.name} DIES before {what}")
            self.die()
        milliseconds = 1 + 6 * draw * draw
        if draw > 1 - rates.pause:
            world.count("container paused")
            milliseconds = world.rng.uniform(20, LONGEST_PAUSE_MS) * world.rng.random()
            world.note(f"{self.name} pauses for {milliseconds:.0f} ms before {what}")
        world.loop.wait(milliseconds)

    def _sleep(self, seconds: float) -> None:
        self.world.loop.wait(seconds * 1000)

    def _start(self, work: Callable[[], None]) -> Fiber:
        return self.start(work, freezes=True)

    def _compose(self, code: Code, sizes: Sizes) -> Services:
        """As ``shared.bootstrap.compose`` and ``shared.cache.build`` do."""
        settings, metrics = sizes.settings, CacheMetrics()
        store = cast("Store", code.store(self))
        background = Background(self._start, lambda: self.world.loop.now / 1000)
        memory, stale_memory = memory_tiers(settings, self.now)
        stale_fallback = code.stale_fallback(
            stale_memory, settings.cache_ttl_messages, settings.cache_ttl_channels, self.now
        )
        upstash = SimUpstash(self, self.world.redis, OPTIONS, metrics)
        pages = code.tier(upstash, "p1", "pages", sizes.policy, metrics, self.now, background)
        lists = code.tier(upstash, "u1", "channels", sizes.policy, metrics, self.now, background)
        cache = Cache(memory, pages, lists, stale_fallback, metrics, upstash)
        reader = code.reader(code.direct(store, self._sleep, self.clock.now), memory, pages, metrics)
        return Services.of(settings, store, reader, cache, self.clock.now, self._sleep, background)
