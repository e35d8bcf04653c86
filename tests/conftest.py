"""What every test may use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import hypothesis
import pytest

from shared.bootstrap import Services, compose
from shared.storage.memory import MemoryStore
from tests.api import SETTINGS, Api
from tests.lengths import examples

# No deadlines: a busy machine is no failure.
hypothesis.settings.register_profile("budgie", deadline=None, max_examples=examples(40))
hypothesis.settings.load_profile("budgie")


@dataclass
class FakeClock:
    """A clock that tests move, and that sleeping moves."""

    ms: int = 1_795_459_464_000
    slept: list[float] = field(default_factory=list)

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.ms

    def sleep(self, seconds: float) -> None:
        """Moves on."""
        self.slept.append(seconds)
        self.ms += round(seconds * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sockets are off, but in tests of the stack, which reach 127.0.0.1 alone."""
    for item in items:
        if item.get_closest_marker("stack"):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1", "localhost", "::1"]))
        else:
            item.add_marker(pytest.mark.disable_socket)


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One event loop for all tests of this thread, as a container has one."""
    made = asyncio.get_event_loop()  # Mangum made it when the handlers were imported, and does not close it.
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _current_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Mangum asks for the thread's loop, which a test that used ``asyncio.run`` has left without one."""
    asyncio.set_event_loop(loop)


@pytest.fixture
def clock() -> FakeClock:
    """A clock of the test's own."""
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    """An empty storage in memory."""
    return MemoryStore()


@pytest.fixture
def services(store: MemoryStore, clock: FakeClock) -> Services:
    """Services over the storage in memory."""
    return compose(SETTINGS, store, clock.now, clock.sleep)


@pytest.fixture
def api(services: Services) -> Api:
    """The functions over these services."""
    return Api(services)
