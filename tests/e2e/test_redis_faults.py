"""Redis fails in every way while users chat: every response stays right, and none waits long for it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Final

import pytest

from local.upstash.endpoint import UpstashEndpoint
from local.upstash.faults import Fault
from shared.bootstrap import compose
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from tests.api import Api
from tests.conftest import FakeClock
from tests.e2e.redis_world import Container, World, chat_on, opened_world
from tests.endpoint import TOKEN, opened_endpoint

pytestmark = pytest.mark.stack
READ_MS: Final = 300
MINUTES_10: Final = 10 * 60_000
DAYS_32: Final = 32 * 24 * 60 * 60_000


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstashEndpoint]:
    """A running endpoint."""
    with opened_endpoint(tmp_path_factory.mktemp("valkey")) as endpoint:
        yield endpoint


@pytest.fixture
def world(endpoint: UpstashEndpoint, clock: FakeClock, store: MemoryStore, api: Api) -> Iterator[World]:
    """A chat with a healthy Redis, that a container has just filled."""
    with opened_world(endpoint, clock, store, api) as world:
        yield world


def milliseconds(container: Container, channel: str) -> float:
    """How long reading a page takes."""
    begun = time.perf_counter()
    assert container.read(channel).status == 200
    return (time.perf_counter() - begun) * 1000


@pytest.fixture
def baseline(world: World) -> float:
    """Milliseconds of a container's requests without Redis, the first of each channel."""
    return statistics.median(
        milliseconds(Container(Api(compose(Settings(), world.store)), world.plain.services), channel)
        for channel in world.channels
    )


FAULTS: Final = {
    "black hole": (Fault(kind="hang"), "timeout", 10_000),
    "slow": (Fault(kind="latency", ms=500), "timeout", 10_000),
    "garbage": (Fault(kind="garbage"), "garbled", 10_000),
    "truncated": (Fault(kind="garbage", form="truncated", executed=True), "garbled", 10_000),
    "short": (Fault(kind="garbage", form="short", executed=True), "disconnected", 10_000),
    "killed before the answer": (Fault(kind="die", executed=True), "disconnected", 10_000),
    "killed within the answer": (Fault(kind="die", form="half", executed=True), "disconnected", 10_000),
    "401": (Fault(kind="wrong_token"), "refused_token", MINUTES_10),
    "429": (Fault(kind="status", status=429), "garbled", 10_000),
    "500": (Fault(kind="status", status=500), "garbled", 10_000),
    "502": (Fault(kind="status", status=502), "garbled", 10_000),
    "monthly quota": (Fault(kind="quota"), "monthly_quota", DAYS_32),
    "daily quota": (Fault(kind="quota", form="daily"), "daily_quota", DAYS_32 // 32),
    "full": (Fault(kind="capacity"), "full", MINUTES_10),
    "refused": (None, "unreachable", 10_000),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest, world: World) -> tuple[str, int]:
    """Each fault in turn, which begins now: how failures are counted, and for how long Redis is left alone."""
    fault, kind, open_ms = FAULTS[request.param]
    if fault is None:
        world.endpoint.refuse()
    else:
        world.endpoint.faults.add(fault)
    return kind, open_ms


def heal(world: World) -> None:
    """The fault is over."""
    world.endpoint.faults.clear()
    world.endpoint.accept()


def test_every_answer_is_right_and_redis_recovers(world: World, fault: tuple[str, int]) -> None:
    """While it lasts the breaker opens and health says so; when it is over the next containers profit again."""
    kind, open_ms = fault
    container = world.start()
    chat_on(world, container)
    assert container.api("GET", "/v1/channels").status == 200
    container.settle()
    assert container.breaker == "open"
    ill = container.health()
    assert (ill.status, ill.json["status"]) == (200, "degraded")
    assert ill.json["cache"]["breaker"] == "open"
    assert ill.json["cache"]["redis_failures"][kind] >= 1
    requests = world.endpoint.usage.requests
    chat_on(world, container)
    assert world.endpoint.usage.requests == requests or open_ms == 10_000

    heal(world)
    world.clock.ms += 64 * open_ms if open_ms == 10_000 else open_ms
    for _ in range(3):
        container.read(world.channels[1])
        container.settle()
    well = container.health()
    assert (well.json["status"], well.json["cache"]["breaker"]) == ("ok", "closed")
    heir = world.start_loaded()
    assert heir.read(world.channels[1]).headers["x-cache"] in {"redis", "caught_up"}
    assert heir.read(world.channels[1]).body == world.truth(world.channels[1])


def test_a_fault_costs_little_time(world: World, baseline: float, fault: tuple[str, int]) -> None:
    """A container's first request takes at most the read timeout and 100 ms longer, the following ones 20 ms."""
    assert fault
    first, following = [], []
    for _ in range(3):  # the machine may be busy: a bound is broken only if it is broken each time
        container = world.start()
        times = [milliseconds(container, channel) for channel in world.channels]
        container.settle()
        first.append(times[0] - baseline)
        following.append(statistics.median(times[1:]) - baseline)
        if first[-1] <= READ_MS + 100 and following[-1] <= 20:
            break
    assert min(first) <= READ_MS + 100
    assert min(following) <= 20


def test_a_container_whose_redis_was_never_there(world: World) -> None:
    """An address at which nothing responds: the chat goes on."""
    world.endpoint.refuse()
    container = world.start()
    chat_on(world, container)
    assert container.services.metrics.get("failure.unreachable") >= 3


def test_nothing_is_from_a_redis_that_was_never_reached(world: World) -> None:
    """With no memory to speak of, a container serves what it read itself: that is not said to be from Redis."""
    world.endpoint.refuse()
    settings = Settings(upstash_url=world.endpoint.url, upstash_token=TOKEN, cache_memory_bytes=1)
    services = compose(settings, world.store, world.clock.now, world.clock.sleep)
    container = Container(Api(services), services)
    for _ in range(3):
        for channel in world.channels:
            assert container.read(channel).headers["x-cache"] != "redis"
            container.settle()
        assert container.api("GET", "/v1/channels").status == 200
        container.settle()
    assert not services.metrics.snapshot()["pages"].get("redis")
    assert not services.metrics.snapshot()["channels"].get("redis")
    assert services.upstash is not None
    services.upstash.close()


@pytest.mark.parametrize("form", ["daily", "monthly"])
def test_a_quota_is_named_in_log_lines_and_in_the_health_check(
    world: World, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the lines of requests while the breaker is open, and in the health check, whose PING is free and goes well."""
    world.endpoint.faults.add(Fault(kind="quota", form=form))
    container = world.start()
    kind = f"{form}_quota"
    assert container.health().json["checks"]["redis"]["code"] == f"redis_{kind}"
    assert container.health().json["checks"]["redis"]["code"] == f"redis_{kind}"
    caplog.clear()
    for channel in world.channels:
        container.read(channel)
        container.settle()
    lines = [each.__dict__["fields"] for each in caplog.records if each.getMessage() == "request"]
    assert len(lines) == len(world.channels)
    assert {line["redis_breaker"] for line in lines} == {kind}
    assert all(line["RedisFailures"] >= 1 for line in lines)
