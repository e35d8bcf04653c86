"""The tier in Redis drops unused values, whichever container writes."""

from __future__ import annotations

from typing import Final

import pytest

from shared.cache.blocks import Cached, block_key
from shared.cache.codec import unpack
from tests.blocks import CHANNEL, OTHER, USED, block, packed
from tests.conftest import FakeClock
from tests.fakes import FakeUpstash
from tests.shared.cache.bundles import FIRST, KEY, POLICY, SECOND, Start, lacking, request, stored

ERASED: Final = block_key(CHANNEL, 0, 1)
"""Of a channel that was redacted twice since: nobody asks for it."""
KEEP: Final = POLICY.keep_seconds
HOUR: Final = 3_600
NEVER: Final = 2**32 - 1
"""The latest time that a bundle has a number for."""


def learned(hour: int) -> dict[str, Cached]:
    """A block that was read in this hour, enough to be written at once."""
    return {block_key(OTHER, hour): block(OTHER, hour * 50 + 1, hour * 50 + 50)}


@pytest.mark.parametrize("used", [USED, USED + HOUR, NEVER])
@pytest.mark.parametrize("lives", [1, 5, 1_000])
def test_erased_text_leaves_in_time(
    start: Start, upstash: FakeUpstash, clock: FakeClock, used: int, lives: int
) -> None:
    """A block of an older number is in no bundle that is written a day after its last use or later.

    Where that use is said to be yet to come, a day after it was met; whether containers live for an hour or for ever.
    """
    upstash.values[KEY] = packed({ERASED: block(CHANNEL, 1, 50)}, used=used)
    written = []
    for hour in range(60):
        if hour % lives == 0:
            tier = start()
        tier.put(learned(hour))
        request(tier)
        written.append(ERASED in stored(upstash))
        clock.sleep(HOUR)
    assert written == [hour < KEEP // HOUR for hour in range(60)]


def test_a_block_in_use_stays_for_ever(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """For ten days each container finds it where its predecessors left it, though it was put but once."""
    upstash.values[KEY] = packed({FIRST: block(CHANNEL, 1, 50), SECOND: block(CHANNEL, 51, 100)})
    for hour in range(240):
        tier = start()
        assert tier.get([FIRST]) == lacking(50)
        tier.put(learned(hour))
        request(tier)
        clock.sleep(HOUR)
    assert FIRST in stored(upstash)
    assert SECOND not in stored(upstash)
    assert len(stored(upstash)) == KEEP // HOUR + 1


def test_a_use_is_written_down(start: Start, upstash: FakeUpstash, clock: FakeClock) -> None:
    """A value that was put or found counts as used then, one that was only carried as before."""
    upstash.values[KEY] = packed({FIRST: block(CHANNEL, 1, 50), SECOND: block(CHANNEL, 51, 100)})
    clock.sleep(HOUR)
    tier = start()
    tier.get([FIRST])
    tier.put(learned(0))
    request(tier)
    used = {key: kept.used for key, kept in unpack(upstash.values[KEY]).items()}
    assert used == {FIRST: USED + HOUR, SECOND: USED, block_key(OTHER, 0): USED + HOUR}


@pytest.mark.parametrize(
    ("theirs", "counts"), [(USED - 60, USED), (USED + 30, USED + 30), (NEVER, USED + 60)]
)
def test_the_later_use_counts(
    start: Start, upstash: FakeUpstash, clock: FakeClock, theirs: int, counts: int
) -> None:
    """Of a value that was learned before the bundle came; a use that is yet to come is one of now."""
    upstash.values[KEY] = packed({FIRST: block(CHANNEL, 1, 30)}, used=theirs)
    tier = start(load=False)
    tier.put({FIRST: block(CHANNEL, 25, 40)})
    clock.sleep(60)
    request(tier)
    tier.put({SECOND: block(CHANNEL, 51, 90)})
    request(tier)
    kept = unpack(upstash.values[KEY])[FIRST]
    assert (kept.value, kept.used) == (block(CHANNEL, 1, 40), counts)
