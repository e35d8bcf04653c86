"""Containers whose clocks are five minutes off, either way, change nothing but the times that they write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import CLOCKS_APART_MS, from_rfc3339
from shared.domain.errors import RateLimitedError, StoreUnavailableError
from shared.domain.model import IDEMPOTENCY_SECONDS
from shared.settings import Settings
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.post_message import Posted
from tests.cases import case
from tests.shared.use_cases.scripted_store import after, fails
from tests.shared.use_cases.skewed import Skewed

FIVE_MINUTES = 300_000
SKEWS = st.lists(st.integers(-FIVE_MINUTES, FIVE_MINUTES), min_size=3, max_size=3)
WORST = [FIVE_MINUTES, -FIVE_MINUTES, 0]
VISITS = st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 2)), min_size=1, max_size=60)
"""Milliseconds since the visit before, and the container that serves it."""


def created_at(posted: Posted) -> int:
    """As the message says, in ms."""
    return from_rfc3339(json.loads(posted.bodies[0])["created_at"])


@given(SKEWS, VISITS, st.sampled_from([(5.0, 20), (1.0, 1), (20.0, 3)]))
def test_the_limit_neither_vanishes_nor_shuts_anybody_out(
    skews: list[int], visits: list[tuple[int, int]], rate: tuple[float, int]
) -> None:
    """However containers take turns, no window holds more than the rate and what clocks may be apart, nor a wait."""
    per_second, burst = rate
    world = Skewed(skews, Settings(rate_per_second=per_second, rate_burst=burst))
    passed, waits = [], [0.0]
    for gap, container in visits:
        world.right.ms += gap
        try:
            world.post(container)
        except RateLimitedError as error:
            waits.append(error.retry_after or 0)
        else:
            passed.append(world.right.ms)
    assert max(waits) <= burst / per_second + CLOCKS_APART_MS / 1000 + 1
    for i, start in enumerate(passed):
        for count, end in enumerate(passed[i:], start=1):
            assert count <= burst + (end - start + CLOCKS_APART_MS) * per_second / 1000


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (0, 2), (1, 2)])
def test_slow_mode_lasts_as_long_as_it_says(first: int, second: int) -> None:
    """A message a minute: neither at once on another container, nor eleven minutes later."""
    world = Skewed(WORST)
    assert world.store.update_channel(world.channel, {"slow_mode": 60}, None)
    world.post(first)
    world.right.ms += 60_000 - CLOCKS_APART_MS
    with pytest.raises(RateLimitedError):
        world.post(second)
    world.right.ms += 2 * CLOCKS_APART_MS
    world.post(second)


@given(SKEWS, VISITS)
def test_times_do_not_go_back_and_are_right(skews: list[int], visits: list[tuple[int, int]]) -> None:
    """One post after the other: each says no earlier time than the one before, and about the true one."""
    world = Skewed(skews, Settings(rate_per_second=100, rate_burst=1000))
    before = 0
    for gap, container in visits:
        world.right.ms += gap
        at = created_at(world.post(container))
        assert at >= before
        assert abs(at - world.right.ms) <= CLOCKS_APART_MS
        before = at


def test_times_of_posts_at_the_same_moment_differ_little() -> None:
    """A post that read before another one reserved its position goes back by at most the clocks' difference."""
    world = Skewed(WORST)
    earlier: list[Posted] = []
    world.store.plan("reserve", after(lambda: earlier.append(world.post(0, user="ada"))))
    later = world.post(1)
    assert later.last_seq > earlier[0].last_seq
    assert created_at(later) >= created_at(earlier[0]) - CLOCKS_APART_MS


def test_a_key_holds_for_a_day_by_any_clock() -> None:
    """24 hours at least, and not much longer."""
    for second in range(3):
        for first in range(3):
            with case(second, first):
                world = Skewed(WORST)
                world.post(first, key="k1")
                world.right.ms += IDEMPOTENCY_SECONDS * 1000 - 1
                assert world.post(second, key="k1").replayed
                world.right.ms += 2 * CLOCKS_APART_MS + 1
                assert not world.post(second, key="k1").replayed


@pytest.mark.parametrize("reader", range(3))
@pytest.mark.parametrize("writer", range(3))
def test_a_reader_leaves_a_live_writer_its_position(reader: int, writer: int) -> None:
    """Pages are read between a writer's number and its commit, ten seconds long: it keeps the number."""
    world = Skewed(WORST)

    def read() -> None:
        fetch_messages(world.containers[reader], "ada", world.channel, Window(50), frozenset())
        world.right.ms += 2_500

    world.store.plan("commit", after(read, read, read, read))
    assert world.post(writer).last_seq == 1
    assert "void" not in world.store.calls


@pytest.mark.parametrize("container", range(3))
def test_a_page_is_served_stale_for_two_minutes_by_any_clock(container: int) -> None:
    """Also the page of a container's first request, whose clock was put right in the middle of it."""
    world = Skewed(WORST)
    services = world.containers[container]
    fetch_messages(services, "eve", world.channel, Window(50), frozenset())
    world.right.ms += 120_000
    world.store.plan("read_channel_state", fails, fails)
    assert fetch_messages(services, "eve", world.channel, Window(50), frozenset()).stale
    world.right.ms += 1
    with pytest.raises(StoreUnavailableError):
        fetch_messages(services, "eve", world.channel, Window(50), frozenset())
