"""The tier in Redis: what a container does not do to what others left there."""

from __future__ import annotations

from typing import Final

import pytest

from shared.cache.blocks import block_key
from shared.cache.redis import MAX_INTERVAL_MS, SEEN_MS
from tests.blocks import CHANNEL, OTHER, block, packed
from tests.conftest import FakeClock
from tests.fakes import FakeUpstash
from tests.shared.cache.bundles import FIRST, KEY, POLICY, SECOND, Start, lacking, request, stored

DAY: Final = POLICY.keep_seconds


def test_an_empty_bundle_is_never_written(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """A container that had something to write, and forgot it in a day without requests, leaves Redis as it is."""
    tier = start()
    tier.put(lacking(30))
    upstash.values[KEY] = packed({SECOND: block(CHANNEL, 51, 100)})
    clock.sleep(DAY + 1)
    for _ in range(3):
        request(tier)
        clock.ms += POLICY.max_delay_ms
    assert stored(upstash) == {SECOND: block(CHANNEL, 51, 100)}
    assert upstash.reasons == ["get_pages"]


def test_a_container_that_was_frozen_reads_again_before_writing(
    start: Start, upstash: FakeUpstash, clock: FakeClock
) -> None:
    """After an hour a container no longer knows what others left: it adds to that."""
    tier = start()
    clock.ms += SEEN_MS + 1
    theirs = {block_key(OTHER, n): block(OTHER, n * 50 + 1, n * 50 + 50) for n in range(5)}
    upstash.values[KEY] = packed(theirs, used=clock.ms // 1000)
    tier.put(lacking(40))
    request(tier)
    assert stored(upstash) == theirs | lacking(40)
    assert upstash.reasons == ["get_pages", "get_pages", "put_pages"]


def test_a_container_that_cannot_read_again_does_not_write(
    start: Start, upstash: FakeUpstash, clock: FakeClock
) -> None:
    """Unwritten values stay so, and are written once Redis responds."""
    tier = start()
    clock.ms += SEEN_MS + 1
    tier.put(lacking(40))
    upstash.failure = "timeout"
    request(tier)
    assert upstash.reasons == ["get_pages", "get_pages"]
    upstash.failure = None
    request(tier)
    assert stored(upstash) == lacking(40)


def test_a_write_that_is_refused_is_sent_ever_more_rarely(
    start: Start, upstash: FakeUpstash, clock: FakeClock
) -> None:
    """After one rest, two, four and so on, up to a day; once it goes well, as before."""
    tier = start()
    tier.put(lacking(40))
    upstash.failure = "too_large"
    minutes: list[int] = []
    for minute in range(40):
        request(tier)
        if upstash.reasons.count("put_pages") > len(minutes):
            minutes.append(minute)
        clock.ms += POLICY.min_interval_ms
    assert minutes == [0, 1, 3, 7, 15, 31]
    assert tier._interval_ms <= MAX_INTERVAL_MS
    upstash.failure = None
    clock.ms += MAX_INTERVAL_MS
    tier.put({FIRST: block(CHANNEL, 1, 41)})
    request(tier)
    assert FIRST in stored(upstash)
    tier.put(lacking(50, OTHER))
    clock.ms += POLICY.min_interval_ms
    request(tier)
    assert stored(upstash).keys() == {FIRST, block_key(OTHER, 0)}


@pytest.mark.parametrize("error", [MemoryError(), LookupError(), RuntimeError()])
def test_whatever_cannot_be_read_is_not_asked_for_again(
    start: Start, upstash: FakeUpstash, error: Exception
) -> None:
    """A bundle that raises an unforeseen error is a miss, and is not read again with each request."""

    class Poisoned(str):
        __slots__ = ()

        def startswith(self, *_: object) -> bool:
            raise error

    upstash.values[KEY] = Poisoned("B3z")
    tier = start()
    for _ in range(3):
        request(tier)
    assert upstash.reasons == ["get_pages"]
    assert upstash.metrics.get("unreadable") == 1


def test_only_what_came_from_redis_is_from_redis(start: Start, upstash: FakeUpstash) -> None:
    """What a container put into its own bundle is from its memory, though Redis never had it."""
    upstash.values[KEY] = packed({FIRST: block(CHANNEL, 1, 50)})
    tier = start()
    tier.put({SECOND: block(CHANNEL, 51, 60)})
    assert tier.origin([FIRST]) == "redis"
    assert tier.origin([SECOND]) == "memory"
    assert tier.origin([FIRST, SECOND]) == "redis"
    tier.put({FIRST: block(CHANNEL, 1, 50)})
    assert tier.origin([FIRST]) == "memory"
