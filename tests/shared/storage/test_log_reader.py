"""Reading the log: holes, how they are waited for and settled, and the preview after it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from shared.storage.log_reader import DEAD_MS, HOLE_WAITS_SECONDS, OLD_MS, PROMPT_MS
from tests.shared.storage.holes import World, kinds
from tests.shared.use_cases.scripted_store import after, passes


def test_a_log_without_holes_is_one_query(world: World) -> None:
    """No wait, no write."""
    world.reserve(3)
    world.commit(1, 2, 3)
    span = world.read()
    assert (span.first, span.last, kinds(span)) == (1, 3, [True] * 3)
    assert world.store.calls == ["entries"]
    assert world.clock.slept == []


def test_an_empty_range_asks_nothing(world: World) -> None:
    """A client that polls the end of the log causes no query."""
    world.reserve()
    span = world.read(2, 1)
    assert (span.first, span.last, span.bodies) == (2, 1, [])
    assert world.store.calls == []


def test_holes_at_the_end_do_no_harm(world: World) -> None:
    """What is before them is served at once; their writers go on undisturbed."""
    world.reserve(4)
    world.commit(1, 2)
    span = world.read()
    assert (span.last, kinds(span)) == (2, [True, True])
    assert (world.clock.slept, world.standing()) == ([], {1: True, 2: True})


def test_a_log_of_holes_alone_is_empty(world: World) -> None:
    """A log that has only new holes is empty, as the first post may still arrive."""
    world.reserve(2)
    span = world.read()
    assert (span.last, span.bodies, world.clock.slept) == (0, [], [])


def test_a_hole_before_a_message_is_waited_for_then_voided(world: World) -> None:
    """After waits of 5, 10, 20 and 40 ms the hole is voided and all is served."""
    world.reserve(3)
    world.commit(1, 3)
    span = world.read()
    assert (span.last, kinds(span)) == (3, [True, False, True])
    assert world.clock.slept == [0.005, 0.010, 0.020, 0.040] == list(HOLE_WAITS_SECONDS)
    assert world.standing() == {1: True, 2: False, 3: True}
    [void] = world.store.entries(world.channel, 2, 2)
    assert (void.messages, void.body) == (2, None)


def test_a_writer_who_comes_in_time_is_served(world: World) -> None:
    """The wait ends with the message; no void is written."""
    world.reserve(3)
    world.commit(1, 3)
    world.store.plan("entries", passes, passes, after(partial(world.commit, 2)))
    assert kinds(world.read()) == [True] * 3
    assert world.clock.slept == list(HOLE_WAITS_SECONDS[:2])
    assert "void" not in world.store.calls


def test_a_writer_who_comes_at_the_last_moment_is_served(world: World) -> None:
    """A message that comes between the last read and the void is served."""
    world.reserve(3)
    world.commit(1, 3)
    world.store.plan("void", after(partial(world.commit, 2)))
    assert kinds(world.read()) == [True] * 3
    assert world.standing()[2]


def test_messages_that_come_while_it_waits_are_served_too(world: World) -> None:
    """Also at the end of the range, where they were not waited for."""
    world.reserve(4)
    world.commit(3)
    world.store.plan("entries", passes, after(partial(world.commit, 1, 2, 4)))
    assert kinds(world.read()) == [True] * 4


@pytest.mark.parametrize(("age", "waits"), [(OLD_MS - 75, 4), (OLD_MS, 1), (OLD_MS + 1, 0)])
def test_a_hole_before_an_old_message_is_voided_at_once(world: World, age: int, waits: int) -> None:
    """Its writer had its time by any clock: ten minutes, which may also pass while it is waited for."""
    world.reserve(2)
    world.commit(2)
    world.clock.ms += age
    assert kinds(world.read()) == [False, True]
    assert len(world.clock.slept) == waits


def test_a_writer_on_a_slow_storage_is_waited_for(world: World) -> None:
    """Where each call takes a second, the message behind the hole is seconds old, and the hole's writer at work."""
    world.reserve(2)
    world.commit(2)
    world.clock.ms += 3_000
    world.store.plan("entries", passes, after(partial(world.commit, 1)))
    assert kinds(world.read()) == [True, True]
    assert "void" not in world.store.calls


@pytest.mark.parametrize(("ms", "times"), [(0, 1), (PROMPT_MS, 1), (10 * PROMPT_MS, 10), (60_000, 20)])
def test_where_reading_is_slow_writers_are_waited_for_longer(world: World, ms: int, times: int) -> None:
    """In proportion, as their calls take longer too; never more than 1.5 s in all."""

    def slowly(call: Callable[[], Any]) -> Any:
        world.clock.ms += ms
        return call()

    world.reserve(2)
    world.commit(2)
    world.store.plan("entries", slowly)
    assert kinds(world.read()) == [False, True]
    assert world.clock.slept == [times * each for each in HOLE_WAITS_SECONDS]
    assert sum(world.clock.slept) <= 1.5


def test_every_hole_before_a_message_is_voided(world: World) -> None:
    """Each counts its position, so that unread counts stay right; those after the last message are left."""
    world.reserve(7)
    world.commit(3, 5)
    assert kinds(world.read()) == [False, False, True, False, True]
    voids = [each for each in world.store.entries(world.channel, 1, 7) if each.body is None]
    assert [(each.seq, each.messages) for each in voids] == [(1, 1), (2, 2), (4, 4)]


def test_a_hole_is_settled_for_a_message_beyond_the_range(world: World) -> None:
    """A page that ends with a hole would otherwise hold up paging."""
    world.reserve(9)
    world.commit(1, 2, 8)
    span = world.read(1, 4)
    assert (span.last, kinds(span)) == (4, [True, True, False, False])
    assert world.standing() == {1: True, 2: True, 3: False, 4: False, 8: True}


def test_holes_at_the_end_of_the_log_are_left(world: World) -> None:
    """All of them are at the end of the log."""
    world.reserve(9)
    world.commit(1, 2)
    assert world.read(3, 5).bodies == []
    assert world.standing() == {1: True, 2: True}


@pytest.mark.parametrize(("age", "voided"), [(DEAD_MS, False), (DEAD_MS + 1, True)])
def test_a_hole_at_the_end_dies_after_a_while(world: World, age: int, voided: bool) -> None:  # noqa: FBT001 - a case
    """After 15 s its writer's function has ended, if the clocks agree: so it is waited for once, then voided."""
    world.reserve(2)
    world.commit(1)
    world.clock.ms += age
    assert kinds(world.read()) == ([True, False] if voided else [True])
    assert world.standing() == ({1: True, 2: False} if voided else {1: True})
    assert world.clock.slept == (list(HOLE_WAITS_SECONDS) if voided else [])


def test_a_hole_at_the_end_of_a_quiet_channel_is_voided_at_once(world: World) -> None:
    """A hole that is older than any error of clocks is voided without a wait."""
    world.reserve(2)
    world.commit(1)
    world.clock.ms += OLD_MS + 1
    assert kinds(world.read()) == [True, False]
    assert world.clock.slept == []


@pytest.mark.parametrize("behind", [1, 2])
def test_a_clock_ahead_costs_no_live_writer_its_position(world: World, behind: int) -> None:
    """To a reader five minutes ahead each hole looks dead: a writer that commits within the wait still keeps it."""
    world.reserve(2)
    world.commit(3 - behind)
    world.clock.ms += 300_000
    world.store.plan("entries", passes, passes, after(partial(world.commit, behind)))
    assert kinds(world.read()) == [True, True]
    assert "void" not in world.store.calls


def test_a_log_of_dead_holes_is_settled(world: World) -> None:
    """Where there is no message at all, no preview is shown."""
    world.reserve(3)
    world.clock.ms += DEAD_MS + 1
    assert kinds(world.read()) == [False] * 3
    assert [each.messages for each in world.store.entries(world.channel, 1, 3)] == [1, 2, 3]
    assert world.shown() is None
