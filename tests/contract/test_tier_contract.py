"""What every tier of the cache does: memory, Redis, and the fake of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import pytest

from local.upstash.endpoint import UpstashEndpoint
from shared.cache.blocks import Block, Cached, ChannelList, block_key, channels_key
from shared.cache.encryption import EncryptedUpstash
from shared.cache.redis import BundlePolicy, RedisTier
from shared.cache.tier import MemoryTier, NoTier, Tier, get_one
from shared.cache.upstash import Upstash, UpstashOptions
from shared.observability.meter import CacheMetrics
from tests.blocks import CHANNEL, OTHER, block
from tests.conftest import FakeClock
from tests.endpoint import TOKEN, opened_endpoint, reset
from tests.fakes import DictTier, Shelf

KEEP_SECONDS: Final = 60
KEY: Final = block_key(CHANNEL, 0)
VALUE: Final = block(CHANNEL, 1, 3)


class Containers(Protocol):
    """Containers of one deployment, each with a tier of its own."""

    shared: bool
    """Whether what one keeps is found by the next."""

    def start(self, max_bytes: int = 1_000_000) -> Tier:
        """A fresh container's tier."""

    def settle(self) -> None:
        """Has all of them finish what they do in the background."""

    def wait(self, seconds: float) -> None:
        """Lets time pass."""


@dataclass
class MemoryContainers:
    """Each has values of its own."""

    clock: FakeClock
    shared: bool = False

    def start(self, max_bytes: int = 1_000_000) -> Tier:
        """See ``Containers``."""
        return MemoryTier(max_bytes, KEEP_SECONDS, self.clock.now)

    def settle(self) -> None:
        """Nothing is under way."""

    def wait(self, seconds: float) -> None:
        """See ``Containers``."""
        self.clock.sleep(seconds)


class FakeContainers(MemoryContainers):
    """They share a shelf."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, shared=True)
        self._shelf = Shelf()

    def start(self, max_bytes: int = 1_000_000) -> Tier:
        """See ``Containers``."""
        return DictTier(self._shelf, max_bytes, KEEP_SECONDS, self.clock.now)


class RedisContainers:
    """They share a database, encrypted or not, and write at each request."""

    shared = True

    def __init__(self, endpoint: UpstashEndpoint, clock: FakeClock, *, encrypted: bool = False) -> None:
        self._sealed = encrypted
        self._clock = clock
        self._endpoint = endpoint
        self._started: list[tuple[RedisTier, Upstash]] = []

    def start(self, max_bytes: int = 1_000_000) -> Tier:
        """See ``Containers``; the bundle is loaded."""
        metrics = CacheMetrics()
        upstash = Upstash(UpstashOptions(self._endpoint.url, TOKEN, 2_000, 2_000), metrics, self._clock.now)
        policy = BundlePolicy(KEEP_SECONDS, max_bytes, min_new_entries=0, max_delay_ms=0, min_interval_ms=0)
        commands = EncryptedUpstash(upstash, lambda: "s" * 32, self._clock.now) if self._sealed else upstash
        tier = RedisTier(commands, "bundle", "pages", policy, metrics, self._clock.now)
        self._started.append((tier, upstash))
        tier.begin()
        tier.settle()
        return tier

    def settle(self) -> None:
        """See ``Containers``: the next request of each writes what it has."""
        for tier, _ in self._started:
            tier.begin()
            tier.settle()

    def wait(self, seconds: float) -> None:
        """The database's time is real: what it keeps expires that much sooner. The containers' time is the test's."""
        upstash = self._started[0][1]
        for key in upstash.execute("test", "KEYS", "*"):
            left = upstash.execute("test", "PTTL", key) - round(seconds * 1_000)
            upstash.execute("test", "PEXPIRE", key, left)
        self._clock.sleep(seconds)

    def close(self) -> None:
        """Ends their connections."""
        for _, upstash in self._started:
            upstash.close()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstashEndpoint]:
    """A running endpoint."""
    with opened_endpoint(tmp_path_factory.mktemp("valkey")) as endpoint:
        yield endpoint


REDIS: Final = [pytest.param(each, marks=pytest.mark.stack) for each in ("redis", "sealed")]


@pytest.fixture(params=["memory", "fake", *REDIS])
def containers(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Containers]:
    """Containers with each kind of tier in turn."""
    if request.param in {"memory", "fake"}:
        yield MemoryContainers(clock) if request.param == "memory" else FakeContainers(clock)
        return
    endpoint = request.getfixturevalue("endpoint")
    reset(endpoint)
    redis = RedisContainers(endpoint, clock, encrypted=request.param == "sealed")
    yield redis
    redis.close()


def test_it_gives_back_what_was_put(containers: Containers) -> None:
    """Values of both kinds come back whole, several with one call."""
    tier = containers.start()
    items: dict[str, Cached] = {KEY: VALUE, channels_key("ada"): ChannelList((CHANNEL, OTHER))}
    tier.begin()
    tier.put(items)
    assert tier.get(list(items)) == items


def test_a_miss_is_left_out(containers: Containers) -> None:
    """Unknown keys are not in the result, even among known ones."""
    tier = containers.start()
    assert tier.get([KEY]) == {}
    tier.put({KEY: VALUE})
    assert tier.get([block_key(OTHER, 0), KEY]) == {KEY: VALUE}
    assert tier.get([]) == {}


def test_an_empty_value_is_no_miss(containers: Containers) -> None:
    """The list of a user in no channel, and a block of voids, are values."""
    tier = containers.start()
    empty: dict[str, Cached] = {channels_key("ada"): ChannelList(()), KEY: Block.of(1, [None, None])}
    tier.put(empty)
    containers.settle()
    assert tier.get(list(empty)) == empty
    if containers.shared:
        assert containers.start().get(list(empty)) == empty


def test_a_later_value_replaces_the_earlier(containers: Containers) -> None:
    """Under one key there is one value, the last that was put."""
    tier = containers.start()
    longer = block(CHANNEL, 1, 5)
    for value in (VALUE, longer):
        tier.put({KEY: value})
        containers.settle()
    assert tier.get([KEY]) == {KEY: longer}
    if containers.shared:
        assert containers.start().get([KEY]) == {KEY: longer}


def test_a_value_of_another_kind_is_a_miss(containers: Containers) -> None:
    """A value of one kind is not returned for a key of another."""
    tier = containers.start()
    tier.put({KEY: VALUE})
    assert get_one(tier, KEY, Block) == VALUE
    assert get_one(tier, KEY, ChannelList) is None


def test_it_is_safe_for_threads(containers: Containers) -> None:
    """Four threads that put and get at once lose nothing and see only whole values."""
    tier = containers.start()

    def use(channel: str) -> None:
        for number in range(20):
            value = block(channel, number * 50 + 1, number * 50 + 5)
            key = block_key(channel, number)
            tier.begin()
            tier.put({key: value, KEY: VALUE})
            assert tier.get([key, KEY]) == {key: value, KEY: VALUE}

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, [f"{worker:016d}" for worker in range(1, 5)]))
    keys = [block_key(f"{worker:016d}", number) for worker in range(1, 5) for number in range(20)]
    assert set(tier.get(keys)) == set(keys)


def test_the_next_container_finds_what_is_shared(containers: Containers) -> None:
    """A shared tier's values outlive the container that put them; others do not."""
    containers.start().put({KEY: VALUE, channels_key("ada"): ChannelList((CHANNEL,))})
    containers.settle()
    found = containers.start().get([KEY, channels_key("ada")])
    expected = {KEY: VALUE, channels_key("ada"): ChannelList((CHANNEL,))}
    assert found == (expected if containers.shared else {})


def test_the_least_recently_used_goes_first(containers: Containers) -> None:
    """Beyond its bytes a tier drops what was not asked for the longest; the rest stays."""
    blocks: dict[str, Cached] = {
        block_key(CHANNEL, n): block(CHANNEL, n * 50 + 1, n * 50 + 50, "x" * 500) for n in range(4)
    }
    first, second, third, fourth = blocks
    tier = containers.start(max_bytes=round(3.5 * max(value.size for value in blocks.values())))
    for key in (first, second, third):
        tier.put({key: blocks[key]})
    tier.get([first])
    tier.put({fourth: blocks[fourth]})
    containers.settle()
    assert set(tier.get(list(blocks))) == {first, third, fourth}
    if containers.shared:
        assert set(containers.start().get(list(blocks))) == {first, third, fourth}


def test_what_is_larger_than_the_tier_is_not_kept(containers: Containers) -> None:
    """A value that does not fit drives nothing else out, and its older self is not left behind."""
    tier = containers.start(max_bytes=5_000)
    tier.put({KEY: VALUE, block_key(OTHER, 0): block(OTHER, 1, 2)})
    tier.put({KEY: block(CHANNEL, 1, 50, "x" * 200)})
    assert set(tier.get([KEY, block_key(OTHER, 0)])) == {block_key(OTHER, 0)}


def test_values_expire(containers: Containers) -> None:
    """Past its time a value is gone: no container finds it."""
    tier = containers.start()
    tier.put({KEY: VALUE})
    containers.settle()
    containers.wait(KEEP_SECONDS + 1)
    assert tier.get([KEY]) == {}
    assert containers.start().get([KEY]) == {}


def test_a_value_expires_beside_others_that_are_put(containers: Containers) -> None:
    """It expires in its own time, however often others are put or the tier is shared."""
    tier, later = containers.start(), block_key(OTHER, 0)
    tier.put({KEY: VALUE})
    for _ in range(3):
        containers.settle()
        containers.wait(0.6 * KEEP_SECONDS)
        tier.put({later: block(OTHER, 1, 2)})
    containers.settle()
    assert set(tier.get([KEY, later])) == {later}
    if containers.shared:
        assert set(containers.start().get([KEY, later])) == {later}


def test_no_tier_keeps_nothing() -> None:
    """The tier "none" takes everything and finds nothing."""
    tier = NoTier()
    tier.begin()
    tier.put({KEY: VALUE})
    assert tier.get([KEY]) == {}
    assert get_one(tier, KEY, Block) is None
