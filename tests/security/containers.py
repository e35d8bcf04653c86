"""Containers over one storage and one Redis, whose calls can be seen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from shared.bootstrap import Services, compose
from shared.cache.pages import CachedLogReader
from shared.cache.redis import BundlePolicy, RedisTier
from shared.domain.errors import BudgieError
from shared.domain.model import ChannelState
from shared.observability.meter import meter
from shared.settings import Settings
from shared.storage.log_reader import DirectLogReader
from shared.storage.memory import MemoryStore
from tests.api import Api
from tests.fakes import FakeUpstash
from tests.functions.chat import Chat

if TYPE_CHECKING:
    from shared.storage.protocol import Store
    from tests.conftest import FakeClock

EAGER: Final = BundlePolicy(min_new_entries=1, max_delay_ms=0, min_interval_ms=10_000)
"""Writes whatever Redis lacks, every ten seconds."""


@dataclass
class WatchedStore:
    """A storage in memory that notes what it is asked, and can fail."""

    store: MemoryStore = field(default_factory=MemoryStore)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    failure: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        """The storage's own method, noted."""
        method = getattr(self.store, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, *arguments, *named.items()))
            if self.failure:
                raise self.failure
            found = method(*arguments, **named)
            state = found[0] if isinstance(found, tuple) and found else found
            if isinstance(state, ChannelState):
                # As DynamoDB Local counts: AWS charges for what is not there too.
                meter().charge(read=(state.head is not None) + (state.membership is not None))
            return found

        return call

    def fail(self, error: BudgieError | None) -> None:
        """From now on each call fails with this; None ends it."""
        self.failure = error


@dataclass
class Deployment:
    """What all containers share."""

    clock: FakeClock
    store: WatchedStore = field(default_factory=WatchedStore)
    redis: dict[str, Any] = field(default_factory=dict)

    def start(self, *, is_loaded: bool = True) -> Container:
        """A fresh container of all functions, which has fetched what Redis has."""
        built = compose(Settings(), cast("Store", self.store), self.clock.now, self.clock.sleep)
        upstash = FakeUpstash(self.clock.now, self.redis)
        metrics = built.metrics
        pages = RedisTier(upstash, "budgie:p1", "pages", EAGER, metrics, self.clock.now)
        lists = RedisTier(upstash, "budgie:u1", "channels", EAGER, metrics, self.clock.now)
        direct = DirectLogReader(cast("Store", self.store), self.clock.sleep, self.clock.now)
        reader = CachedLogReader(direct, built.memory, pages, metrics)
        services = replace(built, pages=pages, lists=lists, upstash=upstash, reader=reader)
        container = Container(services, upstash, (pages, lists), self.clock)
        if is_loaded:
            container.settle()
        return container


@dataclass
class Container:
    """One container, with memory of its own."""

    services: Services
    upstash: FakeUpstash
    tiers: tuple[RedisTier, RedisTier]
    clock: FakeClock

    @cached_property
    def chat(self) -> Chat:
        """Users whose requests this container serves."""
        return Chat(Api(self.services), self.clock)

    def settle(self) -> None:
        """Loads, or writes what Redis lacks, to its end."""
        for tier in self.tiers:
            tier.begin()
            tier.settle()
