"""The tier in Redis: when it reads, and what it makes of what it finds."""

from __future__ import annotations

import time

import pytest

from shared.cache.blocks import ChannelList, Shareable, block_key, channels_key
from shared.cache.redis import RedisTier
from tests.blocks import CHANNEL, OTHER, block, packed
from tests.conftest import FakeClock
from tests.fakes import FakeUpstash
from tests.shared.cache.bundles import FIRST, KEY, POLICY, SECOND, Start, lacking, request, stored


def test_a_container_loads_once(start: Start, upstash: FakeUpstash) -> None:
    """One GET for all that predecessors left, however many requests and keys follow."""
    bundle: dict[str, Shareable] = {
        FIRST: block(CHANNEL, 1, 50),
        channels_key("ada"): ChannelList((CHANNEL,)),
    }
    upstash.values[KEY] = packed(bundle)
    tier = start()
    for _ in range(3):
        request(tier)
        assert tier.get(list(bundle)) == bundle
    assert upstash.commands == [("GET", KEY)]
    assert upstash.reasons == ["get_pages"]


def test_no_command_without_a_request(start: Start, upstash: FakeUpstash) -> None:
    """Making a tier, asking and putting send nothing."""
    tier = start(load=False)
    tier.put(lacking(50))
    assert tier.get([FIRST]) == lacking(50)
    assert upstash.commands == []


def test_the_first_load_is_waited_for(start: Start, upstash: FakeUpstash) -> None:
    """A read during the first load gets what the load brings."""
    upstash.values[KEY] = packed({FIRST: block(CHANNEL, 1, 50)})
    tier = start(load=False)
    tier.begin()
    assert tier.get([FIRST]) == lacking(50)


def test_it_is_waited_for_once_and_not_beyond_the_budget(clock: FakeClock) -> None:
    """A first load that hangs costs one request the budget; the following ones nothing."""
    upstash = FakeUpstash(clock.now, budget=0.2)
    upstash.gate.clear()
    tier = RedisTier(upstash, KEY, "pages", POLICY, upstash.metrics, clock.now)
    waits = []
    for _ in range(3):
        begun = time.perf_counter()
        tier.begin()
        assert tier.get([FIRST]) == {}
        waits.append(time.perf_counter() - begun)
    upstash.gate.set()
    tier.settle()
    assert 0.15 <= waits[0] <= 0.6
    assert max(waits[1:]) <= 0.1
    assert len(upstash.commands) == 1


def test_later_loads_are_waited_for_by_nobody(clock: FakeClock) -> None:
    """After a failed load the next request tries again beside its work, and does not wait."""
    upstash = FakeUpstash(clock.now, budget=5)
    upstash.failure = "timeout"
    tier = RedisTier(upstash, KEY, "pages", POLICY, upstash.metrics, clock.now)
    request(tier)
    upstash.failure = None
    upstash.gate.clear()
    begun = time.perf_counter()
    tier.begin()
    assert tier.get([FIRST]) == {}
    assert time.perf_counter() - begun <= 0.2
    upstash.gate.set()
    tier.settle()
    assert upstash.reasons == ["get_pages", "get_pages"]


def test_an_open_breaker_is_not_knocked_at(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """While it is open no thread is started; when it may be probed, the load is."""
    upstash.breaker.failed(until=clock.ms + 1_000)
    tier = start(load=False)
    tier.begin()
    assert tier._task is None
    clock.ms += 1_000
    request(tier)
    assert upstash.commands == [("GET", KEY)]


def test_what_is_put_during_the_load_is_kept(start: Start, upstash: FakeUpstash) -> None:
    """Loaded values and those put during the load are both there; blocks are merged."""
    upstash.values[KEY] = packed({FIRST: block(CHANNEL, 1, 30), SECOND: block(CHANNEL, 51, 60)})
    upstash.gate.clear()
    tier = start(load=False)
    tier.begin()
    tier.put({FIRST: block(CHANNEL, 25, 40), block_key(OTHER, 0): block(OTHER, 1, 2)})
    upstash.gate.set()
    tier.settle()
    assert tier.get([FIRST, SECOND, block_key(OTHER, 0)]) == {
        FIRST: block(CHANNEL, 1, 40),
        SECOND: block(CHANNEL, 51, 60),
        block_key(OTHER, 0): block(OTHER, 1, 2),
    }


def test_a_list_that_changed_during_the_load_is_the_newer(start: Start, upstash: FakeUpstash) -> None:
    """What this container read of a user's channels goes before what Redis had."""
    upstash.values[KEY] = packed({channels_key("ada"): ChannelList((CHANNEL,))})
    tier = start(load=False)
    tier.put({channels_key("ada"): ChannelList((OTHER,))})
    request(tier)
    assert tier.get([channels_key("ada")]) == {channels_key("ada"): ChannelList((OTHER,))}


@pytest.mark.parametrize(
    "found",
    [
        "",
        "hello",
        "B4zAAAA",
        packed({FIRST: block(CHANNEL, 1, 50)}).replace("B3", "B2"),
        packed({FIRST: block(CHANNEL, 1, 50)})[:-9],
        7,
        ["x"],
        "B3zé",
        "B3",
    ],
)
def test_an_unreadable_bundle_is_replaced(start: Start, upstash: FakeUpstash, found: object) -> None:
    """It counts once, is not asked for again, and goes at the next write."""
    upstash.values[KEY] = found
    tier = start()
    request(tier)
    assert tier.get([FIRST]) == {}
    assert upstash.metrics.get("unreadable") == 1
    tier.put(lacking(50))
    request(tier)
    assert upstash.reasons == ["get_pages", "put_pages"]
    assert stored(upstash) == lacking(50)


def test_a_key_of_another_type_is_replaced(start: Start, upstash: FakeUpstash) -> None:
    """A hash under our key is unreadable, not an ill Redis."""
    upstash.failure = "wrong_type"
    tier = start()
    upstash.failure = None
    assert upstash.metrics.get("unreadable") == 1
    tier.put(lacking(50))
    request(tier)
    assert stored(upstash) == lacking(50)
