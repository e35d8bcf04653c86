"""What tests of the cache may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from local.upstash.endpoint import UpstashEndpoint
from shared.cache.redis import RedisTier
from shared.cache.upstash import UpstashOptions
from tests.conftest import FakeClock
from tests.endpoint import TOKEN, opened_endpoint, reset
from tests.fakes import FakeUpstash, MeasuredUpstash
from tests.shared.cache.bundles import KEY, POLICY, Start, request
from tests.shared.cache.calls import CONNECT_MS, READ_MS, Make
from tests.shared.cache.scripted import Script, scripted


@pytest.fixture(scope="module")
def running_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstashEndpoint]:
    """One endpoint for a module's tests."""
    with opened_endpoint(tmp_path_factory.mktemp("valkey")) as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(running_endpoint: UpstashEndpoint) -> UpstashEndpoint:
    """The endpoint without faults or values."""
    reset(running_endpoint)
    return running_endpoint


@pytest.fixture
def make(clock: FakeClock) -> Iterator[Make]:
    """Makes wrappers that end with the test; arguments change the options."""
    with ExitStack() as stack:

        def make(url: str, **changes: object) -> MeasuredUpstash:
            options = UpstashOptions(url, TOKEN, CONNECT_MS, READ_MS, breaker_failures=1_000)
            made = MeasuredUpstash(replace(options, **changes), clock.now)  # type: ignore[arg-type]
            stack.callback(made.close)
            made.warm_up()  # as during INIT: loading the SDK is no part of a call
            return made

        yield make


@pytest.fixture
def script() -> Iterator[Script]:
    """A server with scripted responses."""
    with scripted() as script:
        yield script


@pytest.fixture
def upstash(clock: FakeClock) -> FakeUpstash:
    """An empty database."""
    return FakeUpstash(clock.now)


@pytest.fixture
def start(upstash: FakeUpstash, clock: FakeClock) -> Start:
    """Starts a container; arguments change the policy."""

    def start(*, load: bool = True, **changes: object) -> RedisTier:
        policy = replace(POLICY, **changes)  # type: ignore[arg-type]  # each change is of its field's type
        tier = RedisTier(upstash, KEY, "pages", policy, upstash.metrics, clock.now)
        if load:
            request(tier)
        return tier

    return start
