"""The tier in Redis: when it writes, and what."""

from __future__ import annotations

import time

import pytest

from shared.cache.blocks import ChannelList, block_key, channels_key
from tests.blocks import CHANNEL, OTHER, block, packed
from tests.conftest import FakeClock
from tests.fakes import FakeUpstash
from tests.shared.cache.bundles import FIRST, KEY, POLICY, SECOND, Start, lacking, request, stored


def test_enough_is_written_at_once(start: Start, upstash: FakeUpstash) -> None:
    """39 entries are not worth a command, 40 are; nothing is written without the next request."""
    tier = start()
    tier.put(lacking(39))
    request(tier)
    assert upstash.reasons == ["get_pages"]
    tier.put(lacking(1, OTHER))
    assert upstash.reasons == ["get_pages"]
    request(tier)
    assert upstash.reasons == ["get_pages", "put_pages"]
    assert stored(upstash) == lacking(39) | lacking(1, OTHER)


def test_only_what_redis_lacks_counts(start: Start, upstash: FakeUpstash) -> None:
    """A block that grows by an entry is worth one entry, and one that Redis has is worth nothing."""
    upstash.values[KEY] = packed({FIRST: block(CHANNEL, 1, 45)})
    tier = start()
    for last in (46, 47, 48):
        tier.put({FIRST: block(CHANNEL, 1, last)})
        request(tier)
    assert upstash.reasons == ["get_pages"]


def test_patience_ends(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """After two minutes a single entry is worth a command; nothing lacking never is."""
    tier = start()
    clock.ms += 10 * POLICY.max_delay_ms
    request(tier)
    tier.put(lacking(1))
    clock.ms += POLICY.max_delay_ms - 1
    request(tier)
    assert upstash.reasons == ["get_pages"]
    clock.ms += 1
    request(tier)
    assert upstash.reasons == ["get_pages", "put_pages"]
    clock.ms += 10 * POLICY.max_delay_ms
    request(tier)
    assert upstash.reasons == ["get_pages", "put_pages"]


def test_a_changed_list_is_written_in_time(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """A list of as many channels, but others, is written when patience ends."""
    upstash.values[KEY] = packed({channels_key("ada"): ChannelList((CHANNEL,))})
    tier = start()
    tier.put({channels_key("ada"): ChannelList((OTHER,))})
    clock.ms += POLICY.max_delay_ms
    request(tier)
    assert stored(upstash) == {channels_key("ada"): ChannelList((OTHER,))}


def test_writes_have_a_rest_between_them(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """However much comes together, a container writes once a minute."""
    tier = start()
    tier.put(lacking(50))
    request(tier)
    tier.put(lacking(50, OTHER))
    clock.ms += POLICY.min_interval_ms - 1
    request(tier)
    assert upstash.reasons == ["get_pages", "put_pages"]
    clock.ms += 1
    request(tier)
    assert stored(upstash) == lacking(50) | lacking(50, OTHER)


def test_a_failed_write_is_made_up_for(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """What Redis lacks is still lacking, with what came since; it is written after the rest."""
    tier = start()
    tier.put(lacking(40))
    upstash.failure = "timeout"
    request(tier)
    upstash.failure = None
    tier.put({SECOND: block(CHANNEL, 51, 52)})
    request(tier)
    assert KEY not in upstash.values
    clock.ms += POLICY.min_interval_ms
    request(tier)
    assert stored(upstash) == lacking(40) | {SECOND: block(CHANNEL, 51, 52)}
    assert upstash.reasons == ["get_pages", "put_pages", "put_pages"]


def test_what_is_put_during_a_write_is_for_the_next(
    start: Start, upstash: FakeUpstash, clock: FakeClock
) -> None:
    """A write that is under way does not take along what comes later, and does not forget it."""
    tier = start()
    tier.put(lacking(40))
    upstash.gate.clear()
    tier.begin()
    while len(upstash.commands) < 2:
        time.sleep(0.001)
    tier.put(lacking(40, OTHER))
    tier.begin()
    upstash.gate.set()
    tier.settle()
    assert stored(upstash) == lacking(40)
    clock.ms += POLICY.min_interval_ms
    request(tier)
    assert stored(upstash) == lacking(40) | lacking(40, OTHER)


def test_expiries_are_spread(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """Each is within a tenth of a day, and they differ."""
    tier = start()
    for number in range(1, 41):
        tier.put({block_key(CHANNEL, number): block(CHANNEL, number * 50 + 1, number * 50 + 50)})
        clock.ms += POLICY.min_interval_ms
        request(tier)
    expiries = [int(command[4]) for command in upstash.commands if command[0] == "SET"]
    assert all(command[3] == "EX" for command in upstash.commands if command[0] == "SET")
    assert len(expiries) == 40
    assert len(set(expiries)) > 10
    assert min(expiries) >= 77_760
    assert max(expiries) <= 95_040


def test_bytes_are_counted(start: Start, upstash: FakeUpstash) -> None:
    """What was stored, and what it was before."""
    tier = start()
    tier.put({FIRST: block(CHANNEL, 1, 50, "hello " * 50)})
    request(tier)
    snapshot = upstash.metrics.snapshot()
    assert snapshot["bytes_stored"] == len(upstash.values[KEY])
    assert snapshot["bytes_raw"] > 3 * snapshot["bytes_stored"]


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_the_codec_is_the_policys(start: Start, upstash: FakeUpstash, codec: str) -> None:
    """Bundles are written with the configured codec, and read with any."""
    tier = start(codec=codec)
    tier.put(lacking(50))
    request(tier)
    assert upstash.values[KEY][:3] == f"B3{codec[0]}"
    assert start(codec="zstd").get([FIRST]) == lacking(50)
