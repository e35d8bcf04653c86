"""The tier in Redis: its size, and several containers over one bundle."""

from __future__ import annotations

from random import Random

from shared.cache.blocks import Cached, Shareable, block_key
from tests.blocks import CHANNEL, OTHER, block, packed
from tests.fakes import FakeUpstash
from tests.shared.cache.bundles import FIRST, KEY, Start, lacking, request, stored


def test_a_bundle_is_bounded(start: Start, upstash: FakeUpstash) -> None:
    """After any puts, the bundle here and in Redis stays below its bound; the last used values stay."""
    tier, random = start(max_bytes=50_000, min_new_entries=0, max_delay_ms=0, min_interval_ms=0), Random(4)  # noqa: S311 - repeatable
    last: dict[str, Cached] = {}
    for _ in range(200):
        number, count = random.randrange(30), random.randrange(1, 51)
        last = {block_key(CHANNEL, number): block(CHANNEL, number * 50 + 1, number * 50 + count)}
        tier.put(last)
        bundle = tier._bundle
        assert bundle.bytes_held == sum(each.value.size for each in bundle.in_use().values()) <= 50_000
        assert set(tier._lacking) <= set(bundle.in_use())
    request(tier)
    assert sum(value.size for value in stored(upstash).values()) <= 50_000
    assert stored(upstash).items() >= last.items()


def test_a_value_above_the_bound_drives_nothing_out(start: Start, upstash: FakeUpstash) -> None:
    """One block that is larger than a whole bundle is left out, and is not lacking either."""
    tier = start(max_bytes=30_000, max_delay_ms=0)
    tier.put(lacking(10, OTHER))
    tier.put({FIRST: block(CHANNEL, 1, 50, "x" * 1_000)})
    assert tier.get([FIRST, block_key(OTHER, 0)]) == lacking(10, OTHER)
    request(tier)
    assert stored(upstash) == lacking(10, OTHER)


def test_a_load_stays_within_the_bound(start: Start, upstash: FakeUpstash) -> None:
    """A bundle of a deployment with a larger bound is cut to this one's."""
    large: dict[str, Shareable] = {
        block_key(CHANNEL, n): block(CHANNEL, n * 50 + 1, n * 50 + 50) for n in range(20)
    }
    upstash.values[KEY] = packed(large)
    tier = start(max_bytes=40_000)
    found = tier.get(list(large))
    assert 0 < sum(each.size for each in found.values()) <= 40_000
    assert list(found) == list(large)[-len(found) :]


def test_containers_inherit(start: Start) -> None:
    """The third container has what the first and the second learned one after the other."""
    for channel in (CHANNEL, OTHER):
        tier = start()
        tier.put(lacking(50, channel))
        request(tier)
    assert start().get([FIRST, block_key(OTHER, 0)]) == lacking(50) | lacking(50, OTHER)


def test_containers_side_by_side_lose_a_saving_only(start: Start, upstash: FakeUpstash) -> None:
    """The later write wins; each container still has its own values."""
    one, other = start(), start()
    one.put(lacking(50))
    other.put(lacking(50, OTHER))
    request(one)
    request(other)
    assert stored(upstash) == lacking(50, OTHER)
    assert one.get([FIRST]) == lacking(50)
    assert other.get([block_key(OTHER, 0)]) == lacking(50, OTHER)


def test_what_cannot_be_shared_stays_out(start: Start, upstash: FakeUpstash) -> None:
    """Values of other kinds are this process's own."""

    class Own:
        size = 10

    tier = start(min_new_entries=0, max_delay_ms=0)
    tier.put({"h1": Own()})
    request(tier)
    assert tier.get(["h1"]) == {}
    assert upstash.reasons == ["get_pages"]
