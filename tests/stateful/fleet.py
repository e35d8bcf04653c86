"""Containers over one storage, one Redis and one clock, each with the project's own cache before the storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from shared.bootstrap import Services
from shared.cache.build import Cache, memory_tiers
from shared.cache.pages import CachedLogReader
from shared.cache.redis import BundlePolicy, RedisTier
from shared.cache.stale_fallback import StaleFallback
from shared.domain.errors import StoreUnavailableError
from shared.observability.meter import CacheMetrics
from shared.runtime.parallel import Background, Task
from shared.settings import Settings
from shared.storage.log_reader import DirectLogReader
from shared.storage.memory import MemoryStore
from shared.storage.protocol import ChangeCommit, ChangeOutcome, Commit, Outcome
from tests.api import Api, Response
from tests.conftest import FakeClock
from tests.fakes import FakeUpstash

SETTINGS: Final = Settings(rate_per_second=1.0, rate_burst=5, cache_memory_bytes=60_000)
"""A pace that is easily exceeded, and memory for a few blocks."""
POLICY: Final = BundlePolicy(min_new_entries=4, max_delay_ms=5_000, min_interval_ms=1_000, max_bytes=20_000)
"""Redis is written often, and has not place for everything."""


@dataclass
class FaultyStore(MemoryStore):
    """A storage whose next commit, of a post or a change, fails, or succeeds without saying so."""

    fate: str = ""

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """See ``Changes``."""
        fate, self.fate = self.fate, ""
        if fate == "fails":
            raise StoreUnavailableError(retry_after=1)
        outcome = self.make_change(commit)
        if fate == "lost":
            raise StoreUnavailableError(retry_after=1)
        return outcome

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Makes it: for mutants to do otherwise."""
        return super().commit_change(commit)

    def commit(self, commit: Commit) -> Outcome:
        """See ``Log``."""
        fate, self.fate = self.fate, ""
        if fate == "fails":
            raise StoreUnavailableError(retry_after=1)
        outcome = super().commit(commit)
        if fate == "lost":
            raise StoreUnavailableError(retry_after=1)
        return outcome


class _Done:
    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        """Nothing to wait for."""


def _at_once(work: Callable[[], None]) -> Task:
    work()
    return _Done()


@dataclass(frozen=True)
class Code:
    """The parts of the API's inside that mutants replace."""

    store: type[FaultyStore] = FaultyStore
    reader: type[CachedLogReader] = CachedLogReader
    settings: Settings = SETTINGS


@dataclass
class Fleet:
    """Three containers, any of which takes the next request."""

    code: Code
    make_api: Callable[[Services], Api]
    clock: FakeClock = field(default_factory=FakeClock)
    redis: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = self.code.store()
        self._upstashes: dict[int, FakeUpstash] = {}
        self._apis: dict[int, Api] = {}
        for number in range(3):
            self.replace(number)

    def replace(self, number: int) -> None:
        """A cold container takes the place of a warm one."""
        self._upstashes[number] = FakeUpstash(self.clock.now, self.redis, budget=5.0)
        self._apis[number] = self.make_api(self._services(self._upstashes[number]))

    def fail_redis(self, kind: str | None) -> None:
        """Each command to Redis fails from now on; None: no longer."""
        for upstash in self._upstashes.values():
            upstash.failure = kind

    def call(self, number: int, event: dict[str, object]) -> Response:
        """A container's response."""
        return self._apis[number].invoke(event)

    def _services(self, upstash: FakeUpstash) -> Services:
        """As ``shared.bootstrap.compose`` and ``shared.cache.build`` do."""
        settings, now, metrics = self.code.settings, self.clock.now, CacheMetrics()
        background = Background(_at_once, lambda: self.clock.ms / 1000)
        memory, stale_memory = memory_tiers(settings, now)
        stale_fallback = StaleFallback(
            stale_memory, settings.cache_ttl_messages, settings.cache_ttl_channels, now
        )
        pages = RedisTier(upstash, "p1", "pages", POLICY, metrics, now, background)
        lists = RedisTier(upstash, "u1", "channels", POLICY, metrics, now, background)
        cache = Cache(memory, pages, lists, stale_fallback, metrics, upstash)
        direct = DirectLogReader(self.store, self.clock.sleep, now)
        reader = self.code.reader(direct, memory, pages, metrics)
        return Services.of(settings, self.store, reader, cache, now, self.clock.sleep, background)
