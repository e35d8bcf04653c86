"""The stale fallback while the storage does not respond: for how long, and for which callers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.cache.stale_fallback import StaleFallback
from shared.cache.tier import MemoryTier
from shared.domain.model import ChannelState, Head, Kind, Membership, Role
from tests.blocks import CHANNEL, OTHER
from tests.conftest import FakeClock

HEAD = Head(CHANNEL, Kind.PRIVATE, "lobby", "what we talk about", "ada", 1, seq=7, request_hash=b"hash")
MEMBERSHIP = Membership("ada", CHANNEL, Role.OWNER, 1, read_seq=5)
LOOK = ChannelState(HEAD, MEMBERSHIP)


@pytest.fixture
def memory(clock: FakeClock) -> MemoryTier:
    """A tier that forgets nothing in a test's time."""
    return MemoryTier(100_000, 86_400, clock.now)


@pytest.fixture
def stale_fallback(memory: MemoryTier, clock: FakeClock) -> StaleFallback:
    """Pages are served stale for 120 s, lists for 300 s."""
    return StaleFallback(memory, 120, 300, clock.now)


def test_a_channel_state_is_returned_while_it_is_fresh(
    stale_fallback: StaleFallback, clock: FakeClock
) -> None:
    """Position and membership come back for 120 s from when they were asked for, without the channel's texts."""
    asked_at = clock.ms
    clock.ms += 20_000
    stale_fallback.put(CHANNEL, "ada", LOOK, asked_at)
    clock.ms = asked_at + 120_000
    expected = replace(HEAD, name="", topic="", creator="", request_hash=b"")
    assert stale_fallback.get(CHANNEL, "ada") == ChannelState(expected, MEMBERSHIP)
    clock.ms += 1
    assert stale_fallback.get(CHANNEL, "ada") is None


def test_it_is_the_callers_own(stale_fallback: StaleFallback, clock: FakeClock) -> None:
    """A channel that is fresh for one caller is not so for another, nor another channel for the same."""
    stale_fallback.put(CHANNEL, "ada", LOOK, clock.ms)
    assert stale_fallback.get(CHANNEL, "grace") is None
    assert stale_fallback.get(OTHER, "ada") is None


def test_the_older_of_both_decides(stale_fallback: StaleFallback, clock: FakeClock) -> None:
    """A head that another caller's read refreshed does not make this caller's membership younger."""
    stale_fallback.put(CHANNEL, "ada", LOOK, clock.ms)
    clock.ms += 100_000
    later = ChannelState(replace(HEAD, seq=9), replace(MEMBERSHIP, user_id="grace"))
    stale_fallback.put(CHANNEL, "grace", later, clock.ms)
    clock.ms += 20_000
    found = stale_fallback.get(CHANNEL, "ada")
    assert found is not None
    assert found.head is not None
    assert found.head.seq == 9
    clock.ms += 1
    assert stale_fallback.get(CHANNEL, "ada") is None
    assert stale_fallback.get(CHANNEL, "grace") is not None


def test_a_removed_user_has_no_stale_state(stale_fallback: StaleFallback, clock: FakeClock) -> None:
    """After a read without a membership nothing is returned for that caller; others keep theirs."""
    for user in ("ada", "grace"):
        stale_fallback.put(CHANNEL, user, ChannelState(HEAD, replace(MEMBERSHIP, user_id=user)), clock.ms)
    stale_fallback.forget(CHANNEL, "ada")
    assert stale_fallback.get(CHANNEL, "ada") is None
    assert stale_fallback.get(CHANNEL, "grace") is not None


@pytest.mark.parametrize(
    "state", [ChannelState(None, None), ChannelState(HEAD, None), ChannelState(None, MEMBERSHIP)]
)
def test_half_a_channel_state_is_not_cached(
    stale_fallback: StaleFallback, memory: MemoryTier, clock: FakeClock, state: ChannelState
) -> None:
    """Only a channel and a membership together are stored."""
    stale_fallback.put(CHANNEL, "ada", state, clock.ms)
    assert len(memory) == 0


def test_a_list_is_recalled_while_it_is_fresh(stale_fallback: StaleFallback, clock: FakeClock) -> None:
    """The caller's channels come back whole for 300 s; an empty list is a list."""
    stale_fallback.put_list("ada", ((HEAD, MEMBERSHIP),), clock.ms)
    stale_fallback.put_list("grace", (), clock.ms)
    clock.ms += 300_000
    assert stale_fallback.get_list("ada") == ((HEAD, MEMBERSHIP),)
    assert stale_fallback.get_list("grace") == ()
    assert stale_fallback.get_list("eve") is None
    clock.ms += 1
    assert stale_fallback.get_list("ada") is None


def test_it_counts_towards_the_bound(
    stale_fallback: StaleFallback, memory: MemoryTier, clock: FakeClock
) -> None:
    """The stale fallback is in a bounded memory, as the pages are."""
    for number in range(1_000):
        stale_fallback.put(f"{number:016d}", "ada", LOOK, clock.ms)
    assert 0.9 * 100_000 < memory.bytes_held <= 100_000
