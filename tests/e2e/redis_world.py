"""A chat whose Redis may fail: what the tests of that share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from local.upstash.endpoint import UpstashEndpoint
from shared.bootstrap import Services, compose
from shared.cache.redis import BundlePolicy, RedisTier
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from tests.api import Api, Response
from tests.conftest import FakeClock
from tests.endpoint import TOKEN, reset, run
from tests.functions.chat import Chat, messages

BUNDLE: Final = "budgie:p1"
"""The key under which pages lie in Redis."""


@dataclass
class Container:
    """A container of all functions, and what its cache did."""

    api: Api
    services: Services

    def read(self, channel: str) -> Response:
        """The latest page."""
        return self.api("GET", messages(channel))

    def settle(self) -> None:
        """Lets what goes on in the background end."""
        for tier in (self.services.pages, self.services.lists):
            assert isinstance(tier, RedisTier)
            tier.settle()

    def health(self) -> Response:
        """The deep health check."""
        return self.api("GET", "/v1/healthz", query={"deep": 1}, user=None)

    @property
    def breaker(self) -> str:
        """The state that the health check and the logs show."""
        upstash = self.services.upstash
        assert upstash is not None
        return upstash.breaker.state


@dataclass
class World:
    """A chat of six channels with 60 messages each; Redis knows the first, from a container that is gone."""

    endpoint: UpstashEndpoint
    clock: FakeClock
    store: MemoryStore
    plain: Api
    """The same without Redis and without memory of earlier requests' pages: what the answers must be."""
    channels: list[str] = field(default_factory=list)
    _started: list[Services] = field(default_factory=list)

    def start(self) -> Container:
        """A fresh container."""
        settings = Settings(upstash_url=self.endpoint.url, upstash_token=TOKEN)
        services = compose(settings, self.store, self.clock.now, self.clock.sleep)
        self._started.append(services)
        return Container(Api(services), services)

    def start_loaded(self) -> Container:
        """A fresh container that has what the ones before left in Redis."""
        container = self.start()
        container.services.reader.begin()
        container.settle()
        return container

    def truth(self, channel: str) -> str:
        """The latest page as the storage has it."""
        self.plain.services = compose(Settings(), self.store, self.clock.now, self.clock.sleep)
        return self.plain("GET", messages(channel)).body

    def close(self) -> None:
        """Ends the containers' connections."""
        for services in self._started:
            assert services.upstash is not None
            services.upstash.close()


@contextmanager
def opened_world(
    endpoint: UpstashEndpoint, clock: FakeClock, store: MemoryStore, api: Api
) -> Iterator[World]:
    """A chat with a healthy Redis, that a container has just filled."""
    reset(endpoint)
    world, chat = World(endpoint, clock, store, api), Chat(api, clock)
    for _ in range(6):
        world.channels.append(chat.channel())
        chat.fill(world.channels[-1], 60)
    gone = world.start()
    for _ in range(2):
        gone.read(world.channels[0])
        gone.settle()
        clock.ms += BundlePolicy().max_delay_ms
    assert run(endpoint, "EXISTS", BUNDLE) == 1
    yield world
    endpoint.faults.clear()
    endpoint.accept()
    world.close()


def chat_on(world: World, container: Container) -> None:
    """Users read and write in each channel, twice: every response is right, and every message is there at once."""
    for channel in world.channels * 2:
        assert container.read(channel).body == world.truth(channel)
        container.settle()
        world.clock.ms += 1_000
        posted = container.api("POST", messages(channel), body={"text": "Is Redis well?"})
        assert posted.status == 201
        page = container.read(channel)
        assert page.json["messages"][-1] == posted.json
        assert page.body == world.truth(channel)
        assert "warning" not in page.headers
